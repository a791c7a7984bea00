// The one symbol that the popcorn executable looks up in this module.
#include <malloc.h>

#include <exception>
#include <iostream>
#include <new>

#include "base/error.h"
#include "cli/compress_module/commands.h"
#include "compress/training.h"

namespace popcorn::cli {

namespace {

constexpr int kFailureExitCode = 1, kUsageExitCode = 2, kIoExitCode = 4, kInterruptedExitCode = 130;

int run(int argc, const char* const* argv) {
  const std::string command = argc > 0 ? argv[0] : "";
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (command == "train") return run_train(arguments);
  if (command == "compress") return run_compress(arguments);
  if (command == "export") return run_export(arguments);
  throw UsageError("compress.command", "unknown command \"" + command + "\"; known: train, compress, export");
}

/// Tensors of many megabytes come and go with every layer: freed memory stays with the process, so that the
/// kernel need not clear new pages each time.
void keep_freed_memory() {
  ::mallopt(M_MMAP_MAX, 0);
  ::mallopt(M_TRIM_THRESHOLD, -1);
}

int run_guarded(int argc, const char* const* argv) {
  keep_freed_memory();
  try {
    const int code = run(argc, argv);
    std::cout.flush();
    if (std::cout) return code;
    std::cerr << "popcorn: error: the output could not be written [output.write]\n";
    return code == 0 ? kIoExitCode : code;
  } catch (const compress::Interrupted&) {
    std::cerr << "popcorn: interrupted\n";
    return kInterruptedExitCode;
  } catch (const Error& error) {
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

}  // namespace

}  // namespace popcorn::cli

/// Runs `popcorn train`, `compress` or `export`. @param argv argv[0] is the command. Returns the exit code of
/// the process; nothing is thrown.
extern "C" __attribute__((visibility("default"))) int popcorn_compress_main(int argc,
                                                                            const char* const* argv) {
  return popcorn::cli::run_guarded(argc, argv);
}
