// popcorn bench linear: the report.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/linear_benchmark.h"
#include "cli/keys.h"
#include "cli/random_weights.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"

namespace popcorn::cli {

namespace {

constexpr const char* kTextbookNote =
    "one mpz_powm with |w| and one multiplication for every non-zero weight, one inversion an output; "
    "operations counted exactly, measured on a sample of them and scaled";

struct Options {
  std::string model;
  std::string layer;
  unsigned random_bits = 0;
  double density = 1.0;
  KeyOptions key;
  std::size_t samples = 5;
  bool json = false;
};

struct Totals {
  double seconds = 0, unshared_seconds = 0, textbook_seconds = 0;
  std::uint64_t weights = 0, planned = 0, counted = 0, unshared = 0, naive = 0;
};

Totals total_of(const LinearBenchmark& benchmark) {
  Totals totals;
  for (const LinearFigure& layer : benchmark.layers) {
    totals.seconds += layer.seconds.median;
    totals.unshared_seconds += layer.unshared_seconds.median;
    totals.textbook_seconds += layer.textbook_seconds.median;
    totals.weights += layer.weights;
    totals.planned += layer.planned_multiplications;
    totals.counted += layer.multiplications;
    totals.unshared += layer.unshared_multiplications;
    totals.naive += layer.naive_multiplications;
  }
  return totals;
}

void print_as_json(const LinearBenchmark& benchmark, const Options& options) {
  const Totals totals = total_of(benchmark);
  nlohmann::ordered_json report = {{"model", benchmark.model},
                                   {"bits", benchmark.bits},
                                   {"kernel", benchmark.kernel},
                                   {"machine", benchmark_conditions()},
                                   {"samples", options.samples},
                                   {"textbook", kTextbookNote},
                                   {"seconds", totals.seconds},
                                   {"unshared_seconds", totals.unshared_seconds},
                                   {"ratio_to_unshared", totals.unshared_seconds / totals.seconds},
                                   {"textbook_seconds", totals.textbook_seconds},
                                   {"ratio_to_textbook", totals.textbook_seconds / totals.seconds},
                                   {"planned_multiplications", totals.planned},
                                   {"multiplications", totals.counted},
                                   {"unshared_multiplications", totals.unshared},
                                   {"naive_multiplications", totals.naive},
                                   {"layers", nlohmann::ordered_json::array()}};
  for (const LinearFigure& layer : benchmark.layers) {
    nlohmann::ordered_json json = {{"layer", layer.name},
                                   {"kind", layer.kind},
                                   {"inputs", layer.inputs},
                                   {"outputs", layer.outputs},
                                   {"weights", layer.weights}};
    add_timing(json, "seconds", layer.seconds);
    json["seconds_per_weight"] =
        layer.seconds.median / static_cast<double>(std::max<std::uint64_t>(1, layer.weights));
    add_timing(json, "unshared_seconds", layer.unshared_seconds);
    json["ratio_to_unshared"] = layer.ratio_to_unshared();
    add_timing(json, "textbook_seconds", layer.textbook_seconds);
    json["textbook_sample"] = layer.textbook_sample;
    json["ratio_to_textbook"] = layer.ratio_to_textbook();
    json["planned_multiplications"] = layer.planned_multiplications;
    json["multiplications"] = layer.multiplications;
    json["unshared_multiplications"] = layer.unshared_multiplications;
    json["table_entries"] = layer.table_entries;
    json["naive_multiplications"] = layer.naive_multiplications;
    json["checked_outputs"] = layer.checked_outputs;
    report["layers"].push_back(std::move(json));
  }
  print_json(std::cout, report);
}

void print_for_people(const LinearBenchmark& benchmark, const Options& options) {
  using Align = Table::Align;
  Table table({{"layer", Align::left},
               {"kind", Align::left},
               {"weights"},
               {benchmark.kernel},
               {"a weight"},
               {"no tables"},
               {"ratio"},
               {"textbook"},
               {"ratio"},
               {"multiplications"},
               {"planned"},
               {"no tables"},
               {"one power per weight"}});
  for (const LinearFigure& layer : benchmark.layers) {
    const auto weights = static_cast<double>(std::max<std::uint64_t>(1, layer.weights));
    table.add_row({layer.name, layer.kind, grouped(layer.weights), short_seconds(layer.seconds.median),
                   short_seconds(layer.seconds.median / weights),
                   short_seconds(layer.unshared_seconds.median), ratio_text(layer.ratio_to_unshared()),
                   short_seconds(layer.textbook_seconds.median), ratio_text(layer.ratio_to_textbook()),
                   grouped(layer.multiplications), grouped(layer.planned_multiplications),
                   grouped(layer.unshared_multiplications), grouped(layer.naive_multiplications)});
  }
  if (benchmark.layers.size() > 1) {
    const Totals totals = total_of(benchmark);
    table.add_row(
        {"all", "", grouped(totals.weights), short_seconds(totals.seconds), "",
         short_seconds(totals.unshared_seconds), ratio_text(totals.unshared_seconds / totals.seconds),
         short_seconds(totals.textbook_seconds), ratio_text(totals.textbook_seconds / totals.seconds),
         grouped(totals.counted), grouped(totals.planned), grouped(totals.unshared), grouped(totals.naive)});
  }
  std::cout << "Linear layers of " << benchmark.model << " on ciphertexts, " << benchmark.bits
            << "-bit key, on one core of " << benchmark_conditions() << "\n\n";
  table.print(std::cout);
  std::cout << "\nProcessor time of a layer, median of " << options.samples
            << " samples taken in turn. weights: non-zero ones, at every position where they are used.\n"
            << "no tables: the cheapest plan whose rows share no products.\n"
            << "textbook: " << kTextbookNote << ",\nwith the GMP library of this system.\n";
}

int bench_linear(const Options& options) {
  check_key_bits(options.key);
  const models::IntegerNetwork network =
      options.random_bits == 0 ? load_model(options.model)
                               : with_random_weights(models::zoo_network(options.model),
                                                     {options.random_bits, options.density}, system_rng());
  LinearBenchmark benchmark;
  {
    Progress progress("measuring");
    benchmark = run_linear_benchmark(
        network,
        paillier::PrivateKey::generate(options.key.bits, paillier::KeyKind::ordinary, options.key.policy()),
        options.samples, options.layer, [&](std::size_t done, std::size_t total, const std::string& what) {
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

void add_bench_linear_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      bench.add_subcommand("linear", "Linear layers of a model on ciphertexts against one power per weight");
  command->add_option("model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("MODEL");
  command->add_option("--layer", options->layer, "Only this layer")->type_name("NAME");
  CLI::Option* random =
      command
          ->add_option("--random-weights", options->random_bits,
                       "Take MODEL from the zoo, with random weights of BITS bits (1: -1 or 1)")
          ->type_name("BITS")
          ->check(CLI::Range(1, 16));
  command->add_option("--density", options->density, "Share of the random weights that are not zero")
      ->type_name("D")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->needs(random);
  add_key_size_options(*command, options->key, paillier::kDefaultKeyBits);
  command->add_option("--samples", options->samples, "Samples of each; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn bench linear mnist-conv2 --layer conv2\n"
      "  popcorn bench linear mnist-bnn --random-weights 1 --bits 2048\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_linear(*options); }; });
}

}  // namespace popcorn::cli
