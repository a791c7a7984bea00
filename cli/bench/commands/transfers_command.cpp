// popcorn bench transfers: the report.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/transfers_benchmark.h"
#include "cli/bench/transfers_over_http.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"

namespace popcorn::cli {

namespace {

struct Options {
  TransfersOptions benchmark{{"softspoken", "b12"}, {}};
  std::size_t sessions = 0;  ///< over HTTP; 0 = in one process
  bool json = false;
};

constexpr double kNanosecond = 1e-9;

void print_as_json(const TransfersBenchmark& benchmark, const Options& options) {
  nlohmann::ordered_json report = {{"kernel", benchmark.kernel},
                                   {"machine", benchmark_conditions()},
                                   {"samples", options.benchmark.samples},
                                   {"results", nlohmann::ordered_json::array()}};
  for (const TransferFigure& figure : benchmark.figures) {
    report["results"].push_back({{"op", figure.op},
                                 {"source", figure.source},
                                 {"w", figure.ring},
                                 {"kappa", figure.kept},
                                 {"sender_ns", figure.sender.median / kNanosecond},
                                 {"sender_ns_min", figure.sender.minimum / kNanosecond},
                                 {"sender_ns_max", figure.sender.maximum / kNanosecond},
                                 {"receiver_ns", figure.receiver.median / kNanosecond},
                                 {"receiver_ns_min", figure.receiver.minimum / kNanosecond},
                                 {"receiver_ns_max", figure.receiver.maximum / kNanosecond},
                                 {"bytes", figure.bytes},
                                 {"transfers", figure.transfers},
                                 {"flights", figure.flights},
                                 {"memory_bytes", figure.memory_bytes},
                                 {"checked", figure.checked},
                                 {"wrong", figure.wrong}});
  }
  print_json(std::cout, report);
}

void print_for_people(const TransfersBenchmark& benchmark, const Options& options) {
  using Align = Table::Align;
  Table table({{"operation", Align::left},
               {"source", Align::left},
               {"w, κ", Align::left},
               {"sender"},
               {"receiver"},
               {"bytes"},
               {"transfers"},
               {"flights"},
               {"memory"},
               {"wrong of"}});
  for (const TransferFigure& figure : benchmark.figures) {
    const std::string widths =
        figure.ring == 0
            ? "-"
            : std::to_string(figure.ring) + (figure.kept > 0 ? ", " + std::to_string(figure.kept) : "");
    table.add_row({figure.op, figure.source, widths, short_seconds(figure.sender.median),
                   short_seconds(figure.receiver.median), fixed(figure.bytes, 3), fixed(figure.transfers, 0),
                   figure.flights > 0 ? std::to_string(figure.flights) : "-",
                   fixed(static_cast<double>(figure.memory_bytes) / 1e6, 1) + " MB",
                   std::to_string(figure.wrong) + " of " + std::to_string(figure.checked)});
  }
  std::cout << "Transfers on the kernel " << benchmark.kernel << ", one core of " << benchmark_conditions()
            << "\n\n";
  table.print(std::cout);
  std::cout << "\nProcessor time a value and party, median of " << options.benchmark.samples
            << " samples; bytes a value, both directions, with what its transfers take (the base\n"
               "transfers of a key are dealt). correlated: silent rows before they become pads; relu: cut by "
               "w − κ bits, floor or one more;\n"
               "relu_exact: to nearest, from packed digits on; maximum: of values of κ bits.\n";
}

nlohmann::ordered_json as_json(const ProcessTime& time) {
  return {{"transfers_seconds", time.transfers},
          {"steps_seconds", time.steps},
          {"user_seconds", time.user},
          {"system_seconds", time.system}};
}

void print_over_http(const OverHttp& report, const OverHttpOptions& options) {
  const auto values = static_cast<double>(report.values);
  const auto per_value = [&](double seconds) { return short_seconds(seconds / values); };
  std::cout << options.op << " (w = " << options.ring << ", κ = " << options.kept << ") from "
            << options.source << " between two processes over loopback HTTP, " << options.sessions
            << " sessions, kernel " << report.kernel << ", on " << benchmark_conditions() << "\n\n"
            << fixed(values / report.seconds / 1e6, 2) << " million values a second: " << report.values
            << " in " << short_seconds(report.seconds) << ", "
            << fixed(static_cast<double>(report.bytes_up + report.bytes_down) / values, 3)
            << " bytes a value in bodies, " << report.requests << " requests; " << report.wrong
            << " wrong of " << report.checked << " opened\n\n";
  using Align = Table::Align;
  Table table({{"processor time a value", Align::left}, {"server"}, {"client"}});
  const auto row = [&](const std::string& name, const auto& part) {
    table.add_row({name, per_value(part(report.server)), per_value(part(report.client))});
  };
  row("random transfers", [](const ProcessTime& time) { return time.transfers; });
  row("steps on shares", [](const ProcessTime& time) { return time.steps; });
  row("HTTP and the rest, in the process",
      [](const ProcessTime& time) { return time.user + time.system - time.transfers - time.steps; });
  row("in all", [](const ProcessTime& time) { return time.user + time.system; });
  row("of it in the kernel", [](const ProcessTime& time) { return time.system; });
  table.print(std::cout);
}

int bench_over_http(const Options& options) {
  if (options.benchmark.ops.size() > 1)
    throw UsageError("bench.http_op",
                     "Over HTTP one operation on shares is measured: --op takes one name here");
  OverHttpOptions o;
  o.source = options.benchmark.sources.back();
  o.ring = options.benchmark.ring;
  o.kept = options.benchmark.kept;
  o.values = options.benchmark.values;
  o.sessions = options.sessions;
  if (!options.benchmark.ops.empty()) o.op = options.benchmark.ops.front();
  const OverHttp report = run_transfers_over_http(o);
  if (options.json) {
    print_json(std::cout, {{"kernel", report.kernel},
                           {"machine", benchmark_conditions()},
                           {"op", o.op},
                           {"source", o.source},
                           {"w", o.ring},
                           {"kappa", o.kept},
                           {"sessions", o.sessions},
                           {"values", report.values},
                           {"seconds", report.seconds},
                           {"values_per_second", static_cast<double>(report.values) / report.seconds},
                           {"bytes_up", report.bytes_up},
                           {"bytes_down", report.bytes_down},
                           {"requests", report.requests},
                           {"server", as_json(report.server)},
                           {"client", as_json(report.client)},
                           {"checked", report.checked},
                           {"wrong", report.wrong}});
  } else {
    print_over_http(report, o);
  }
  if (report.wrong > 0) throw Error("bench.wrong", o.op + " over HTTP gave wrong results");
  return 0;
}

int bench_transfers(const Options& options) {
  if (options.sessions > 0) return bench_over_http(options);
  TransfersBenchmark benchmark;
  {
    Progress progress("measuring");
    benchmark = run_transfers_benchmark(options.benchmark,
                                        [&](std::size_t done, std::size_t total, const std::string& what) {
                                          progress.update(done, total, what);
                                        });
  }
  if (options.json) {
    print_as_json(benchmark, options);
  } else {
    print_for_people(benchmark, options);
  }
  for (const TransferFigure& figure : benchmark.figures) {
    if (figure.wrong > 0) throw Error("bench.wrong", figure.op + " gave wrong results");
  }
  return 0;
}

}  // namespace

void add_bench_transfers_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  TransfersOptions& o = options->benchmark;
  CLI::App* command = bench.add_subcommand(
      "transfers", "Random transfers and steps on shares: nanoseconds a party, bytes, flights");
  command
      ->add_option("--source", o.sources,
                   "Where transfers come from: softspoken, b10, b12 or b13 (silent); several with commas")
      ->type_name("NAME")
      ->delimiter(',')
      ->capture_default_str();
  std::string names;
  for (const std::string_view name : transfer_operations())
    names += (names.empty() ? "" : ", ") + std::string(name);
  command->add_option("--op", o.ops, "Only these: " + names)->type_name("NAME")->delimiter(',');
  command->add_option("--ring", o.ring, "w: bits of a value on shares")
      ->type_name("BITS")
      ->check(CLI::Range(3, 30))
      ->capture_default_str();
  command->add_option("--kept", o.kept, "κ: bits that a truncation keeps, and of the values of maximum")
      ->type_name("BITS")
      ->check(CLI::Range(2, 29))
      ->capture_default_str();
  command->add_option("--transfers", o.values, "Transfers of a sample; steps run on an eighth as many values")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  command->add_option("--samples", o.samples, "Samples of each; the median counts")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option(
          "--http", options->sessions,
          "Instead: one operation on shares (relu, or --op) between two processes over loopback HTTP, "
          "so many pairs of parties beside each other; --transfers values in all")
      ->type_name("PAIRS")
      ->check(CLI::Range(1, 64));
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Examples:\n  popcorn bench transfers --source b12 --ring 16 --kept 8\n"
      "  popcorn bench transfers --source b12 --http 3 --transfers 8000000\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_transfers(*options); }; });
}

}  // namespace popcorn::cli
