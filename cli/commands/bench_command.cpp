// popcorn bench: how fast this machine is, always beside plain GMP in the same run.
#include <CLI/CLI.hpp>

#include "cli/bench/commands/bench_commands.h"

namespace popcorn::cli {

void add_bench_command(CLI::App& app, Action& chosen) {
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure primitives, layers and whole inferences, each beside a textbook with plain GMP");
  bench->require_subcommand(1);
  bench->footer("Example:\n  popcorn bench paillier --bits 2048\n");
  add_bench_paillier_command(*bench, chosen);
  add_bench_linear_command(*bench, chosen);
  add_bench_network_command(*bench, chosen);
  add_bench_transfers_command(*bench, chosen);
  add_bench_shares_command(*bench, chosen);
  add_bench_packed_command(*bench, chosen);
  add_bench_suite_command(*bench, chosen);
}

}  // namespace popcorn::cli
