// popcorn bench paillier: the report.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/paillier_benchmark.h"
#include "cli/keys.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"

namespace popcorn::cli {

namespace {

struct Options {
  KeyOptions key;
  std::string kind = "ordinary";
  std::string op;
  std::size_t samples = 7;
  bool json = false;
};

void print_as_json(const PaillierBenchmark& benchmark, const Options& options) {
  nlohmann::ordered_json report = {
      {"kernel", benchmark.kernel}, {"bits", benchmark.bits},
      {"key_kind", options.kind},   {"machine", benchmark_conditions()},
      {"samples", options.samples}, {"results", nlohmann::ordered_json::array()}};
  for (const PrimitiveFigure& figure : benchmark.figures) {
    nlohmann::ordered_json result = {{"op", figure.op}};
    add_timing(result, "seconds", figure.chosen);
    add_timing(result, "portable_seconds", figure.portable);
    add_timing(result, "gmp_seconds", figure.gmp);
    result["ratio_to_gmp"] = figure.ratio_to_gmp();
    result["ratio_to_portable"] = figure.portable.median / figure.chosen.median;
    result["multiplications"] = figure.multiplications;
    report["results"].push_back(std::move(result));
  }
  print_json(std::cout, report);
}

void print_for_people(const PaillierBenchmark& benchmark, const Options& options) {
  using Align = Table::Align;
  Table table({{"operation", Align::left},
               {benchmark.kernel},
               {"min … max"},
               {"portable"},
               {"GMP textbook"},
               {"ratio to GMP"},
               {"modmuls"}});
  for (const PrimitiveFigure& figure : benchmark.figures) {
    table.add_row({figure.op, short_seconds(figure.chosen.median),
                   short_seconds(figure.chosen.minimum) + " … " + short_seconds(figure.chosen.maximum),
                   short_seconds(figure.portable.median), short_seconds(figure.gmp.median),
                   ratio_text(figure.ratio_to_gmp()),
                   figure.multiplications > 0 ? fixed(figure.multiplications, 1) : "-"});
  }
  std::cout << "Paillier, " << benchmark.bits << "-bit " << options.kind << " key, on one core of "
            << benchmark_conditions() << "\n\n";
  table.print(std::cout);
  std::cout << "\nProcessor time an operation, median of " << options.samples
            << " samples taken in turn (of register_key at most 3). modmuls: multiplications modulo N² "
               "counted for one operation.\n"
               "weighted_sum: for one non-zero weight of 4 bits; pack: for one value of 65 bits.\n"
               "GMP textbook: the operation as a textbook writes it, with the GMP library of this system.\n";
}

int bench_paillier(const Options& options) {
  check_key_bits(options.key);
  const auto kind = options.kind == "subgroup" ? paillier::KeyKind::subgroup : paillier::KeyKind::ordinary;
  PaillierBenchmark benchmark;
  {
    Progress progress("measuring");
    benchmark = run_paillier_benchmark(
        paillier::PrivateKey::generate(options.key.bits, kind, options.key.policy()), options.samples,
        options.op, [&](std::size_t done, std::size_t total, const std::string& what) {
          progress.update(done, total, what);
        });
  }
  if (options.json) {
    print_as_json(benchmark, options);
  } else {
    print_for_people(benchmark, options);
  }
  return 0;
}

}  // namespace

void add_bench_paillier_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand(
      "paillier", "Every primitive on this processor's kernel, on the portable one and with plain GMP");
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  command->add_option("--kind", options->kind, "ordinary or subgroup")
      ->check(CLI::IsMember({"ordinary", "subgroup"}))
      ->capture_default_str();
  std::string names;
  for (const std::string_view name : primitive_names())
    names += (names.empty() ? "" : ", ") + std::string(name);
  command->add_option("--op", options->op, "Only this operation: " + names)->type_name("NAME");
  command->add_option("--samples", options->samples, "Samples of each; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  popcorn bench paillier --bits 3072 --op decrypt\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_paillier(*options); }; });
}

}  // namespace popcorn::cli
