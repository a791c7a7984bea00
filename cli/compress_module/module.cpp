// The two symbols that the popcorn executable looks up in this module.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/compress_module/commands.h"
#include "cli/terminal/guarded_run.h"
#include "compress/training/training.h"

namespace popcorn::cli {

namespace {

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

int run_module(int argc, const char* const* argv) {
  keep_freed_memory();
  return run_guarded([&] {
    try {
      return run(argc, argv);
    } catch (const compress::Interrupted&) {
      return say_interrupted();
    }
  });
}

}  // namespace

}  // namespace popcorn::cli

/// Describes the commands of this module in the program's command line.
extern "C" __attribute__((visibility("default"))) void popcorn_compress_commands(CLI::App& program) {
  popcorn::cli::add_train_command(program);
  popcorn::cli::add_compress_command(program);
  popcorn::cli::add_export_command(program);
}

/// Runs `popcorn train`, `compress` or `export`. @param argv argv[0] is the command. Returns the exit code of
/// the process; nothing is thrown.
extern "C" __attribute__((visibility("default"))) int popcorn_compress_main(int argc,
                                                                            const char* const* argv) {
  return popcorn::cli::run_module(argc, argv);
}
