// popcorn bench shares: the report.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/shares_benchmark.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "protocols/shares/run/clear_sums.h"

namespace popcorn::cli {

namespace {

using protocols::shares::ShareOptions;
using protocols::shares::ShareRounding;

struct Options {
  SharesOptions benchmark;
  std::string rounding = "both";
  bool label = false;
  bool json = false;
};

std::string rounding_name(const ShareOptions& variant) {
  return std::string(variant.rounding == ShareRounding::fast ? "fast" : "nearest") +
         (variant.few_flights ? ", few flights" : "");
}

void print_as_json(const std::vector<SharesFigure>& figures, const Options& options) {
  nlohmann::ordered_json report = {{"sums", protocols::shares::ClearSums::kernel()},
                                   {"machine", benchmark_conditions()},
                                   {"samples", options.benchmark.samples},
                                   {"results", nlohmann::ordered_json::array()}};
  for (const SharesFigure& figure : figures) {
    nlohmann::ordered_json one = {
        {"network", figure.network},
        {"rounding", figure.options.rounding == ShareRounding::fast ? "fast" : "nearest"},
        {"few_flights", figure.options.few_flights},
        {"label_only", figure.options.label_only},
        {"flights", figure.flights},
        {"bytes_down", figure.bytes[0]},
        {"bytes_up", figure.bytes[1]},
        {"transfers_from_server", figure.transfers[0]},
        {"transfers_from_client", figure.transfers[1]},
        {"transfer_bytes", figure.transfer_bytes},
        {"checked", figure.checked},
        {"wrong", figure.wrong}};
    add_timing(one, "server_seconds", figure.online[0]);
    add_timing(one, "client_seconds", figure.online[1]);
    add_timing(one, "server_transfer_seconds", figure.ahead[0]);
    add_timing(one, "client_transfer_seconds", figure.ahead[1]);
    add_timing(one, "sums_seconds", figure.sums);
    report["results"].push_back(std::move(one));
  }
  print_json(std::cout, report);
}

void print_for_people(const std::vector<SharesFigure>& figures, const Options& options) {
  using Align = Table::Align;
  Table table({{"network", Align::left},
               {"rounding", Align::left},
               {"flights"},
               {"down"},
               {"up"},
               {"transfers"},
               {"their bytes"},
               {"server"},
               {"of it W·s"},
               {"client"},
               {"transfers, each"},
               {"wrong of"}});
  for (const SharesFigure& figure : figures) {
    table.add_row(
        {figure.network, rounding_name(figure.options), std::to_string(figure.flights),
         human_bytes(figure.bytes[0]), human_bytes(figure.bytes[1]),
         grouped(figure.transfers[0] + figure.transfers[1]), human_bytes(figure.transfer_bytes),
         short_seconds(figure.online[0].median), short_seconds(figure.sums.median),
         short_seconds(figure.online[1].median),
         short_seconds(figure.ahead[0].median) + ", " + short_seconds(figure.ahead[1].median),
         figure.checked == 0 ? "-" : std::to_string(figure.wrong) + " of " + grouped(figure.checked)});
  }
  std::cout << "The online phase on shares, sums on " << protocols::shares::ClearSums::kernel()
            << ", one core of " << benchmark_conditions() << "\n\n";
  table.print(std::cout);
  std::cout << "\nProcessor time of each party, median of " << options.benchmark.samples
            << ". The preparation is dealt; transfers that are made ahead are counted by themselves,\n"
               "those that do not fit are part of the online phase.\n";
}

int bench_shares(const Options& options) {
  SharesOptions benchmark = options.benchmark;
  for (const ShareRounding rounding : {ShareRounding::nearest, ShareRounding::fast}) {
    const bool fast = rounding == ShareRounding::fast;
    if (options.rounding == (fast ? "nearest" : "fast")) continue;
    for (const bool few_flights : {false, true}) {
      ShareOptions variant;
      variant.rounding = rounding;
      variant.few_flights = few_flights;
      variant.label_only = options.label;
      benchmark.variants.push_back(variant);
    }
  }
  std::vector<SharesFigure> figures;
  {
    Progress progress("measuring");
    figures =
        run_shares_benchmark(benchmark, [&](std::size_t done, std::size_t total, const std::string& what) {
          progress.update(done, total, what);
        });
  }
  if (options.json) {
    print_as_json(figures, options);
  } else {
    print_for_people(figures, options);
  }
  for (const SharesFigure& figure : figures) {
    if (figure.wrong > 0) throw Error("bench.wrong", figure.network + " gave wrong values");
  }
  return 0;
}

}  // namespace

void add_bench_shares_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  SharesOptions& o = options->benchmark;
  CLI::App* command = bench.add_subcommand(
      "shares", "The online phase of requantised networks on shares: seconds a party, bytes, flights");
  command->add_option("--model", o.models, "Requantised networks: shipped names or files, with commas")
      ->type_name("NAME")
      ->delimiter(',')
      ->required();
  command->add_option("--rounding", options->rounding, "nearest, fast or both")
      ->check(CLI::IsMember({"nearest", "fast", "both"}))
      ->capture_default_str();
  command->add_flag("--label", options->label, "Only the label is told, by an arg-max");
  command->add_option("--samples", o.samples, "Runs of each; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer("Example:\n  popcorn bench shares --model mnist-conv2,cifar10-conv7\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_shares(*options); }; });
}

}  // namespace popcorn::cli
