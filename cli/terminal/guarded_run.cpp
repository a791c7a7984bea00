#include "cli/terminal/guarded_run.h"

#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <new>

#include "base/error.h"
#include "cli/terminal/colour.h"
#include "cli/terminal/interrupt.h"

namespace popcorn::cli {

namespace {

constexpr int kFailureExitCode = 1;
constexpr int kIoExitCode = 4;

std::string error_start() {
  return "popcorn: " + coloured("error:", Colour::red, STDERR_FILENO) + " ";
}

}  // namespace

int say_interrupted() {
  std::cerr << "popcorn: interrupted\n";
  return kInterruptedExitCode;
}

int run_guarded(const std::function<int()>& run) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file that may not grow is an error of the write, not the end of the process
  try {
    const int code = run();
    std::cout.flush();
    if (std::cout) return code;
    std::cerr << error_start() << "the output could not be written [output.write]\n";
    return code == 0 ? kIoExitCode : code;
  } catch (const Error& error) {
    if (interrupted()) return say_interrupted();
    std::cerr << error_start() << error.what() << " [" << error.code() << "]\n";
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << "popcorn: error: there is not enough memory for this [memory]\n";  // no memory for colours
  } catch (const std::exception&) {
    std::cerr << error_start()
              << "something unexpected went wrong inside the program; please report the command "
                 "line that led here [internal]\n";
  }
  return kFailureExitCode;
}

}  // namespace popcorn::cli
