#include "cli/terminal/guarded_run.h"

#include <csignal>
#include <exception>
#include <iostream>
#include <new>

#include "base/error.h"
#include "cli/terminal/interrupt.h"

namespace popcorn::cli {

namespace {

constexpr int kFailureExitCode = 1;
constexpr int kIoExitCode = 4;

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
    std::cerr << "popcorn: error: the output could not be written [output.write]\n";
    return code == 0 ? kIoExitCode : code;
  } catch (const Error& error) {
    if (interrupted()) return say_interrupted();
    std::cerr << "popcorn: error: " << error.what() << " [" << error.code() << "]\n";
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << "popcorn: error: there is not enough memory for this [memory]\n";
  } catch (const std::exception&) {
    std::cerr
        << "popcorn: error: something unexpected went wrong inside the program; please report the command "
           "line that led here [internal]\n";
  }
  return kFailureExitCode;
}

}  // namespace popcorn::cli
