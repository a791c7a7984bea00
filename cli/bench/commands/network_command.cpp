// popcorn bench network: the report.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/network_benchmark.h"
#include "cli/bench/network_profile.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "protocols/engines.h"

namespace popcorn::cli {

namespace {

constexpr const char* kTextbookNote =
    "r^N encryption, one mpz_powm a weight, one value a ciphertext both ways, GMP only; operations counted "
    "exactly, measured on samples and scaled, as if spread evenly over all cores";

constexpr const char* kBoth = "both";
constexpr const char* kLoopback = "loopback";
constexpr const char* kSubgroup = "subgroup";

struct Options {
  std::string model;
  std::string baseline;  ///< empty: textbook where the network is exact
  NetworkBenchmarkOptions benchmark;
  std::string network = kLoopback;
  std::string kind = "ordinary";
  bool json = false;
};

/// Between which the parties are in this run, and how.
struct Link {
  const NetworkProfile* profile = nullptr;  ///< none: loopback as it is
  bool emulated = false;                    ///< else times over it are computed
};

/// Seconds over a link: measured where it was emulated.
double over(const Link& link, double seconds, std::uint64_t rounds, std::uint64_t bytes) {
  return link.emulated ? seconds : seconds + link.profile->seconds(rounds, bytes);
}

nlohmann::ordered_json link_json(const NetworkBenchmark& benchmark, const Link& link) {
  if (link.profile == nullptr) return nullptr;
  nlohmann::ordered_json json = {{"name", link.profile->name},
                                 {"bits_per_second", link.profile->bits_per_second},
                                 {"round_trip_seconds", link.profile->round_trip_seconds},
                                 {"how", link.emulated ? "emulated" : "computed"},
                                 {"seconds", over(link, benchmark.seconds.median, benchmark.rounds,
                                                  benchmark.bytes_up + benchmark.bytes_down)}};
  if (benchmark.online_seconds > 0) {
    json["online_seconds"] =
        over(link, benchmark.online_seconds, benchmark.online_rounds(), benchmark.online_bytes());
  }
  return json;
}

nlohmann::ordered_json as_json(const NetworkBenchmark& benchmark, const Link& link, bool textbook) {
  nlohmann::ordered_json report = {
      {"model", benchmark.model},
      {"bits", benchmark.bits},
      {"key_kind", benchmark.key_kind == paillier::KeyKind::subgroup ? kSubgroup : "ordinary"},
      {"kernel", benchmark.kernel},
      {"engine", benchmark.engine},
      {"sign_test", benchmark.sign_test},
      {"machine", benchmark_conditions()},
      {"runs", benchmark.runs},
      {"runs_with_same_label", benchmark.same_label},
      {"seconds", benchmark.seconds.median},
      {"seconds_min", benchmark.seconds.minimum},
      {"seconds_max", benchmark.seconds.maximum},
      {"cpu_seconds_client", benchmark.cpu_seconds_client},
      {"cpu_seconds_server", benchmark.cpu_seconds_server},
      {"bytes_up", benchmark.bytes_up},
      {"bytes_down", benchmark.bytes_down},
      {"rounds", benchmark.rounds},
      {"online_bytes", benchmark.online_bytes()},
      {"online_rounds", benchmark.online_rounds()},
      {"transfers", benchmark.transfers},
      {"multiplications", benchmark.multiplications},
      {"predicted_multiplications", benchmark.predicted_multiplications},
      {"peak_memory_client", benchmark.peak_memory_client},
      {"peak_memory_server", benchmark.peak_memory_server},
      {"predicted_seconds", benchmark.predicted_seconds},
      {"predicted_bytes_up", benchmark.predicted_bytes_up},
      {"predicted_bytes_down", benchmark.predicted_bytes_down},
      {"predicted_memory_client", benchmark.predicted_memory_client},
      {"predicted_memory_server", benchmark.predicted_memory_server},
      {"network", link_json(benchmark, link)},
      {"phases", nlohmann::ordered_json::object()}};
  for (const auto& [name, seconds] : benchmark.phases) report["phases"][name] = seconds;
  if (benchmark.online_seconds > 0) {
    report["preparation_seconds"] = benchmark.preparation_seconds;
    report["online_seconds"] = benchmark.online_seconds;
  }
  report["steps"] = nlohmann::ordered_json::array();
  for (const auto& [name, seconds] : benchmark.steps) {
    report["steps"].push_back({{"name", name}, {"seconds", seconds}});
  }
  if (textbook) {
    report["textbook"] = kTextbookNote;
    report["textbook_cores"] = benchmark.cores;
    report["textbook_core_seconds"] = benchmark.textbook_core_seconds.median;
    report["textbook_seconds"] =
        benchmark.textbook_core_seconds.median / static_cast<double>(benchmark.cores);
    report["ratio_to_textbook"] = benchmark.ratio_to_textbook();
    report["ratio_to_textbook_cpu"] = benchmark.textbook_core_seconds.median /
                                      (benchmark.cpu_seconds_client + benchmark.cpu_seconds_server);
  } else {
    report["ratio_to_textbook"] = nullptr;
  }
  return report;
}

void print_for_people(const NetworkBenchmark& benchmark, const Link& link, bool textbook) {
  using Align = Table::Align;
  std::cout << "Encrypted inference with " << benchmark.model << ", " << benchmark.bits << "-bit key, kernel "
            << benchmark.kernel << ", engine " << benchmark.engine
            << (benchmark.sign_test.empty() ? std::string() : ", " + benchmark.sign_test + " sign test")
            << ",\nclient and server in two processes over loopback HTTP"
            << (link.emulated ? " made a " + link.profile->name + " of " + link.profile->description()
                              : std::string())
            << " on " << benchmark_conditions() << "\n\n";
  Table table({{"an inference", Align::left}, {""}});
  const auto row = [&](const std::string& name, const std::string& value) { table.add_row({name, value}); };
  row("wall time, median of " + std::to_string(benchmark.runs), short_seconds(benchmark.seconds.median));
  row("  fastest and slowest",
      short_seconds(benchmark.seconds.minimum) + " … " + short_seconds(benchmark.seconds.maximum));
  if (benchmark.online_seconds > 0) {
    row("  preparation, before the input is there", short_seconds(benchmark.preparation_seconds));
    row("  online", short_seconds(benchmark.online_seconds));
  }
  for (const auto& [name, seconds] : benchmark.phases) row("  " + name, short_seconds(seconds));
  row("  predicted for machines with nothing else to do", short_seconds(benchmark.predicted_seconds));
  if (link.profile != nullptr && !link.emulated) {
    const nlohmann::ordered_json json = link_json(benchmark, link);
    row("over a " + link.profile->name + " of " + link.profile->description() + ", computed",
        short_seconds(json.at("seconds")));
    if (json.contains("online_seconds")) row("  online", short_seconds(json.at("online_seconds")));
  }
  row("processor time, client", short_seconds(benchmark.cpu_seconds_client));
  row("processor time, server", short_seconds(benchmark.cpu_seconds_server));
  row("up", human_bytes(benchmark.bytes_up));
  row("down", human_bytes(benchmark.bytes_down));
  row("rounds", grouped(benchmark.rounds));
  row("modular multiplications, server", grouped(benchmark.multiplications));
  row("  predicted", grouped(benchmark.predicted_multiplications));
  row("peak memory, client process", human_bytes(benchmark.peak_memory_client));
  row("peak memory, server process", human_bytes(benchmark.peak_memory_server));
  if (textbook) {
    row("textbook on " + std::to_string(benchmark.cores) + " cores",
        short_seconds(benchmark.textbook_core_seconds.median / static_cast<double>(benchmark.cores)));
    row("ratio to the textbook", ratio_text(benchmark.ratio_to_textbook()));
  }
  table.print(std::cout);
  std::cout << "\n"
            << (benchmark.engine == kFastEngine
                    ? "The label is the plaintext network's in " + std::to_string(benchmark.same_label) +
                          " of " + std::to_string(benchmark.runs) + " runs; rounding is fast."
                    : std::string("Every result equals the plaintext network."))
            << " Phases are means; upload: transfers both ways, HTTP and waiting.\n";
  if (link.profile != nullptr && !link.emulated) {
    std::cout
        << "Computed: this machine cannot emulate a network; a round trip for each round and the bytes at "
           "the line's rate are added to\nthe time on loopback.\n";
  }
  if (textbook) std::cout << "textbook: " << kTextbookNote << ".\n";
}

std::filesystem::path model_for(const std::string& model, const std::string& engine) {
  return engine.starts_with("shares") ? find_requantised_model(model) : find_model(model);
}

NetworkBenchmark measure(const NetworkBenchmarkOptions& options) {
  Progress progress("measuring");
  return run_network_benchmark(options, [&](std::size_t done, std::size_t total, const std::string& what) {
    progress.update(done, total, what);
  });
}

double processor_seconds(const NetworkBenchmark& benchmark) {
  return benchmark.cpu_seconds_client + benchmark.cpu_seconds_server;
}

/// Both sign tests one after the other, so that their ratio is of one run; no textbook.
int bench_sign_tests(const Options& options, const Link& link) {
  NetworkBenchmarkOptions benchmark = options.benchmark;
  benchmark.textbook = false;
  nlohmann::ordered_json report;
  std::vector<NetworkBenchmark> results;
  for (const char* name : {"oblivious", "blinded"}) {
    benchmark.sign_test = name;
    results.push_back(measure(benchmark));
    report[name] = as_json(results.back(), link, false);
    if (!options.json) print_for_people(results.back(), link, false);
  }
  const double wall_ratio = results[0].seconds.median / results[1].seconds.median;
  const double cpu_ratio = processor_seconds(results[0]) / processor_seconds(results[1]);
  if (options.json) {
    report["ratio_oblivious_to_blinded"] = wall_ratio;
    report["ratio_oblivious_to_blinded_cpu"] = cpu_ratio;
    print_json(std::cout, report);
  } else {
    std::cout << "\nThe oblivious sign test takes " << ratio_text(wall_ratio) << " the wall time and "
              << ratio_text(cpu_ratio) << " the processor time of the blinded one.\n";
  }
  return 0;
}

struct EngineResult {
  std::string engine;
  NetworkBenchmark benchmark;
  double bytes() const { return static_cast<double>(benchmark.bytes_up + benchmark.bytes_down); }
};

const EngineResult& on_ciphertexts(const std::vector<EngineResult>& results) {
  return *std::ranges::find(results, protocols::kDefaultEngine, &EngineResult::engine);
}

void print_engines(const std::vector<EngineResult>& results) {
  const EngineResult& first = on_ciphertexts(results);
  Table table({{"engine", Table::Align::left},
               {"wall"},
               {"of it online"},
               {"processor"},
               {"up + down"},
               {"rounds"},
               {"times as fast"},
               {"processor"},
               {"bytes"}});
  for (const EngineResult& result : results) {
    const NetworkBenchmark& b = result.benchmark;
    table.add_row({result.engine, short_seconds(b.seconds.median),
                   b.online_seconds > 0 ? short_seconds(b.online_seconds) : "-",
                   short_seconds(processor_seconds(b)), human_bytes(b.bytes_up + b.bytes_down),
                   grouped(b.rounds), ratio_text(first.benchmark.seconds.median / b.seconds.median),
                   ratio_text(processor_seconds(first.benchmark) / processor_seconds(b)),
                   ratio_text(first.bytes() / result.bytes())});
  }
  std::cout
      << "\nThe network on ciphertexts and its requantised form on shares, one after the other; the last\n"
         "three columns: how many times less than on ciphertexts.\n\n";
  table.print(std::cout);
}

/// All engines one after the other, so that their ratios are of one run; no textbook.
int bench_engines(const Options& options, const Link& link) {
  NetworkBenchmarkOptions benchmark = options.benchmark;
  benchmark.textbook = false;
  nlohmann::ordered_json report;
  std::vector<EngineResult> results;
  for (const std::string_view name : protocols::engine_names()) {
    benchmark.engine = name;
    benchmark.model = model_for(options.model, benchmark.engine);
    results.push_back({benchmark.engine, measure(benchmark)});
    report[benchmark.engine] = as_json(results.back().benchmark, link, false);
    if (!options.json) print_for_people(results.back().benchmark, link, false);
  }
  if (!options.json) {
    print_engines(results);
    return 0;
  }
  const EngineResult& first = on_ciphertexts(results);
  for (const EngineResult& result : results) {
    nlohmann::ordered_json& json = report[result.engine];
    json["ratio_to_" + first.engine] = first.benchmark.seconds.median / result.benchmark.seconds.median;
    json["ratio_to_" + first.engine + "_cpu"] =
        processor_seconds(first.benchmark) / processor_seconds(result.benchmark);
    json["ratio_to_" + first.engine + "_bytes"] = first.bytes() / result.bytes();
  }
  print_json(std::cout, report);
  return 0;
}

/// Before any thread is started.
Link enter(const std::string& network) {
  if (network == kLoopback) return {};
  Link link;
  link.profile = &network_profile(network);
  link.emulated = can_emulate(*link.profile);
  if (link.emulated) enter_emulated(*link.profile);
  return link;
}

/// @throws UsageError "bench.baseline" for the textbook of a requantised network
bool takes_textbook(const Options& options) {
  const bool is_exact = options.benchmark.engine == protocols::kDefaultEngine;
  if (options.baseline == "textbook" && !is_exact) {
    throw UsageError("bench.baseline", "the textbook computes exact networks: compare with it by --engine " +
                                           std::string(protocols::kDefaultEngine));
  }
  return options.baseline != "none" && is_exact;
}

int bench_network(const Options& given) {
  check_key_bits(given.benchmark.key);
  Options options = given;
  const Link link = enter(options.network);
  if (options.kind == kSubgroup) options.benchmark.key.kind = paillier::KeyKind::subgroup;
  if (options.benchmark.engine == kBoth) return bench_engines(options, link);
  options.benchmark.model = model_for(options.model, options.benchmark.engine);
  options.benchmark.textbook = takes_textbook(options);
  if (options.benchmark.sign_test == kBoth) return bench_sign_tests(options, link);
  const NetworkBenchmark benchmark = measure(options.benchmark);
  if (options.json) {
    print_json(std::cout, as_json(benchmark, link, options.benchmark.textbook));
  } else {
    print_for_people(benchmark, link, options.benchmark.textbook);
  }
  return 0;
}

}  // namespace

void add_bench_network_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand(
      "network", "Whole inferences, client and server in two processes, against a textbook engine");
  command->add_option("model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("MODEL");
  add_key_size_options(*command, options->benchmark.key, paillier::kDefaultKeyBits);
  command->add_option("--key", options->benchmark.key.file, "Private key file; a temporary key otherwise")
      ->type_name("FILE");
  command->add_option("--kind", options->kind, "Kind of the temporary key: ordinary or subgroup")
      ->check(CLI::IsMember({"ordinary", kSubgroup}))
      ->capture_default_str();
  command
      ->add_option(
          "--network", options->network,
          "Network between client and server: loopback, lan (3 Gbit/s, 0.3 ms there and back) or wan "
          "(400 Mbit/s, 40 ms); emulated with tc's netem in a network namespace where that is permitted, "
          "else "
          "computed from rounds and bytes, and the report says which")
      ->check(CLI::IsMember({kLoopback, "lan", "wan"}))
      ->type_name("NAME")
      ->capture_default_str();
  command->add_option("--runs", options->benchmark.runs, "Inferences; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--image", options->benchmark.picture,
                   "Picture to classify in every run; random inputs otherwise")
      ->type_name("FILE");
  command
      ->add_option("--baseline", options->baseline,
                   "What to compare with: textbook (the default on ciphertexts) or none")
      ->check(CLI::IsMember({"textbook", "none"}));
  command
      ->add_option("--sign-test", options->benchmark.sign_test,
                   "Kind of sign test; the server's preference otherwise; both: one after the other, with "
                   "their ratio and "
                   "without a textbook")
      ->type_name("NAME");
  std::vector<std::string> engines{kBoth};
  for (const std::string_view name : protocols::engine_names()) engines.emplace_back(name);
  command
      ->add_option("--engine", options->benchmark.engine,
                   "How the inference is computed; both: on ciphertexts and on shares, with their ratios and "
                   "without a textbook")
      ->check(CLI::IsMember(engines))
      ->type_name("NAME")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn bench network mnist-conv2 --bits 2048 --runs 5\n"
      "  popcorn bench network mnist-conv2 --bits 2048 --engine both\n"
      "  popcorn bench network mnist-conv2 --bits 2048 --engine shares --network wan\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_network(*options); }; });
}

}  // namespace popcorn::cli
