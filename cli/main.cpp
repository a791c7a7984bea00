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
#include "cli/terminal/notes.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace {

constexpr const char* kDescription =
    "Popcorn: neural-network inference on inputs that the server never sees.\n"
    "Linear layers are evaluated on Paillier ciphertexts, the others by short interactive protocols.";

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 bad input file, model or key, 4 reading or writing failed,\n"
    "5 network, 6 authentication, 7 server busy or refused, 8 a check failed, 130 interrupted.\n\n"
    "Environment: NO_COLOR=1 keeps colours out of terminals, POPCORN_DATA names the folder of the data "
    "sets,\n"
    "POPCORN_TOKEN holds a client's token, POPCORN_KERNEL=portable forces the portable arithmetic;\n"
    "HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured.\n\n"
    "Example:\n  popcorn demo\n";

/// Buffers of a round of messages or of transfers stay with the process instead of being mapped, cleared and
/// unmapped for each of them: a fifth of an online phase otherwise, more where page faults are dear.
void keep_freed_memory() {
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);
  mallopt(M_TRIM_THRESHOLD, 64 * kMiB);
}

void add_commands(CLI::App& app, Action& chosen) {
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
  add_man_command(app, chosen);
  add_completion_command(app, chosen);
}

/// To every command that does something itself; those of the compression module have theirs.
void add_quiet_options(CLI::App& app) {
  const std::vector<CLI::App*> commands = app.get_subcommands([](CLI::App*) { return true; });
  for (CLI::App* command : commands) {
    if (!is_compress_command(command->get_name())) add_quiet_options(*command);
  }
  if (commands.empty()) add_quiet_option(app);
}

int run(int argc, char** argv) {
  if (argc > 1 && is_compress_command(argv[1])) return run_compress_module(argc - 1, argv + 1);

  CLI::App app(kDescription, "popcorn");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("popcorn ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough(false);
  Action chosen;
  add_commands(app, chosen);
  add_quiet_options(app);
  if (argc <= 1) {
    std::cout << app.help();
    return 0;
  }
  if (std::string_view(argv[1]) == "complete") return print_completion(app, {argv + 2, argv + argc});
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
