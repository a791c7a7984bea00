// popcorn bench packed: the report.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/packed_benchmark.h"
#include "cli/keys.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/file/popcorn_file.h"

namespace popcorn::cli {

namespace {

struct Options {
  std::string model;
  KeyOptions key;
  bool subgroup = false;
  std::size_t runs = 3;
  bool json = false;
};

struct Totals {
  protocols::shares::PackedCost cost;
  std::uint64_t sums = 0, multiplications = 0;
  double encrypt = 0, evaluate = 0, decrypt = 0;
  std::size_t checked = 0, wrong = 0;
  double seconds() const { return encrypt + evaluate + decrypt; }
};

Totals total_of(const PackedBenchmark& benchmark) {
  Totals totals;
  for (const PackedFigure& layer : benchmark.layers) {
    totals.cost += layer.cost;
    totals.sums += layer.sum_multiplications;
    totals.multiplications += layer.multiplications;
    totals.encrypt += layer.encrypt.median;
    totals.evaluate += layer.evaluate.median;
    totals.decrypt += layer.decrypt.median;
    totals.checked += layer.checked;
    totals.wrong += layer.wrong;
  }
  return totals;
}

void add_cost(nlohmann::ordered_json& json, const protocols::shares::PackedCost& cost) {
  json["ciphertexts_up"] = cost.ciphertexts_up;
  json["ciphertexts_down"] = cost.ciphertexts_down;
  json["bytes_up"] = cost.bytes_up;
  json["bytes_down"] = cost.bytes_down;
  json["planned_multiplications"] = cost.multiplications;
}

void print_as_json(const PackedBenchmark& benchmark, const Options& options) {
  const Totals totals = total_of(benchmark);
  nlohmann::ordered_json report = {{"model", benchmark.model},
                                   {"key", benchmark.key},
                                   {"kernel", benchmark.kernel},
                                   {"machine", benchmark_conditions()},
                                   {"runs", options.runs},
                                   {"planning_seconds", benchmark.planning_seconds},
                                   {"seconds", totals.seconds()},
                                   {"encrypt_seconds", totals.encrypt},
                                   {"evaluate_seconds", totals.evaluate},
                                   {"decrypt_seconds", totals.decrypt}};
  add_cost(report, totals.cost);
  report["multiplications"] = totals.multiplications;
  report["sum_multiplications"] = totals.sums;
  report["checked"] = totals.checked;
  report["wrong"] = totals.wrong;
  report["layers"] = nlohmann::ordered_json::array();
  for (const PackedFigure& layer : benchmark.layers) {
    nlohmann::ordered_json json = {{"layer", layer.name},          {"input", layer.input},
                                   {"output", layer.output},       {"w", layer.ring},
                                   {"slot_bits", layer.slot_bits}, {"slots", layer.slots},
                                   {"segments", layer.segments}};
    add_cost(json, layer.cost);
    json["multiplications"] = layer.multiplications;
    json["sum_multiplications"] = layer.sum_multiplications;
    add_timing(json, "encrypt_seconds", layer.encrypt);
    add_timing(json, "evaluate_seconds", layer.evaluate);
    add_timing(json, "decrypt_seconds", layer.decrypt);
    report["layers"].push_back(std::move(json));
  }
  print_json(std::cout, report);
}

void print_for_people(const PackedBenchmark& benchmark, const Options& options) {
  using Align = Table::Align;
  Table table({{"layer", Align::left},
               {"input", Align::left},
               {"output", Align::left},
               {"w, B", Align::left},
               {"slots"},
               {"up"},
               {"down"},
               {"multiplications"},
               {"of sums"},
               {"encrypt"},
               {"evaluate"},
               {"decrypt"}});
  for (const PackedFigure& layer : benchmark.layers) {
    table.add_row({layer.name, layer.input, layer.output,
                   std::to_string(layer.ring) + ", " + std::to_string(layer.slot_bits),
                   std::to_string(layer.slots), grouped(layer.cost.ciphertexts_up),
                   grouped(layer.cost.ciphertexts_down), grouped(layer.multiplications),
                   grouped(layer.sum_multiplications), short_seconds(layer.encrypt.median),
                   short_seconds(layer.evaluate.median), short_seconds(layer.decrypt.median)});
  }
  const Totals totals = total_of(benchmark);
  table.add_row({"all", "", "", "", "", grouped(totals.cost.ciphertexts_up),
                 grouped(totals.cost.ciphertexts_down), grouped(totals.multiplications), grouped(totals.sums),
                 short_seconds(totals.encrypt), short_seconds(totals.evaluate),
                 short_seconds(totals.decrypt)});
  std::cout << "Preparation of " << benchmark.model << " on packed shares, " << benchmark.key << ", kernel "
            << benchmark.kernel << ", " << benchmark_conditions() << "\n\n";
  table.print(std::cout);
  std::cout << "\nWall time on all cores, median of " << options.runs
            << " runs, both parties one after the other: " << short_seconds(totals.seconds()) << ", "
            << human_bytes(totals.cost.bytes_up + totals.cost.bytes_down)
            << ".\nPlanned: " << grouped(totals.cost.multiplications) << " multiplications, in "
            << short_seconds(benchmark.planning_seconds) << ". Wrong: " << grouped(totals.wrong) << " of "
            << grouped(totals.checked) << " outputs.\n";
}

int bench_packed(const Options& options) {
  check_key_bits(options.key);
  const models::IntegerNetwork network = models::read_network(find_requantised_model(options.model));
  PackedBenchmark benchmark;
  {
    Progress progress("measuring");
    benchmark = run_packed_benchmark(
        network,
        paillier::PrivateKey::generate(
            options.key.bits, options.subgroup ? paillier::KeyKind::subgroup : paillier::KeyKind::ordinary,
            options.key.policy()),
        options.runs, [&](std::size_t done, std::size_t total, const std::string& what) {
          progress.update(done, total, what);
        });
  }
  if (options.json) {
    print_as_json(benchmark, options);
  } else {
    print_for_people(benchmark, options);
  }
  const Totals totals = total_of(benchmark);
  if (totals.wrong > 0 || totals.multiplications != totals.cost.multiplications) {
    throw CheckError("bench.wrong_result", "the preparation gave wrong results, or not at the planned cost");
  }
  return 0;
}

}  // namespace

void add_bench_packed_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand(
      "packed",
      "Preparation of an inference on packed shares: seconds by part, ciphertexts, multiplications");
  command
      ->add_option("model", options->model,
                   "Path of a requantised .popcorn file or name of a shipped requantised model")
      ->required()
      ->type_name("MODEL");
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  command->add_flag("--subgroup-key", options->subgroup, "Measure with a subgroup key");
  command->add_option("--runs", options->runs, "Runs of the whole preparation; medians count")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  popcorn bench packed mnist-conv2 --bits 2048\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_packed(*options); }; });
}

}  // namespace popcorn::cli
