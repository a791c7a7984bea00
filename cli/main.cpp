// popcorn: one command, one subcommand a file.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string_view>

#include "cli/commands/commands.h"
#include "cli/options/argument_check.h"
#include "cli/options/suggestion.h"
#include "cli/terminal/guarded_run.h"
#include "cli/terminal/interrupt.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace {

constexpr const char* kDescription =
    "Popcorn: neural-network inference on inputs that the server never sees.\n"
    "Linear layers are evaluated on Paillier ciphertexts, the others by short interactive protocols.";

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 bad input file, model or key, 4 reading or writing failed,\n"
    "5 network, 6 authentication, 7 server busy or refused, 8 a check failed, 130 interrupted.\n\n"
    "Example:\n  popcorn demo\n";

bool is_compress_command(std::string_view name) {
  return name == "train" || name == "compress" || name == "export";
}

/// Only their help line: run_compress_module() takes them before the command line is parsed.
void list_compress_commands(CLI::App& app) {
  app.add_subcommand("train", "Train a network of the zoo and write it as ONNX");
  app.add_subcommand("compress", "Turn an ONNX network into a small integer network (.popcorn)");
  app.add_subcommand("export", "Write an integer network as ONNX, to check its numbers elsewhere");
}

/// Buffers of a round of messages or of transfers stay with the process instead of being mapped, cleared and
/// unmapped for each of them: a fifth of an online phase otherwise, more where page faults are dear.
void keep_freed_memory() {
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);
  mallopt(M_TRIM_THRESHOLD, 64 * kMiB);
}

int run(int argc, char** argv) {
  if (argc > 1 && is_compress_command(argv[1])) return run_compress_module(argc - 1, argv + 1);

  CLI::App app(kDescription, "popcorn");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("popcorn ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough(false);
  Action chosen;
  add_demo_command(app, chosen);
  add_infer_command(app, chosen);
  add_prepare_command(app, chosen);
  add_stock_command(app, chosen);
  add_serve_command(app, chosen);
  add_keygen_command(app, chosen);
  add_inspect_command(app, chosen);
  add_evaluate_command(app, chosen);
  add_compare_command(app, chosen);
  add_verify_command(app, chosen);
  add_bench_command(app, chosen);
  list_compress_commands(app);
  add_doctor_command(app, chosen);
  add_version_command(app, chosen);
  if (argc <= 1) {
    std::cout << app.help();
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error, std::cout, std::cerr) == 0) return 0;
    const std::string meant = suggestion(app, argc, argv);
    if (!meant.empty()) std::cerr << meant << '\n';
    return kUsageExitCode;
  }
  if (only_checks_arguments()) return 0;
  return chosen();
}

}  // namespace

}  // namespace popcorn::cli

int main(int argc, char** argv) {
  popcorn::cli::keep_freed_memory();
  popcorn::cli::install_signal_handlers();
  return popcorn::cli::run_guarded([&] { return popcorn::cli::run(argc, argv); });
}
