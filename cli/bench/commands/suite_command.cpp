// popcorn bench suite, popcorn bench report: everything measured, and what is made of it.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <ctime>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/bench/network_profile.h"
#include "cli/bench/suite/cell_run.h"
#include "cli/bench/suite/cell_store.h"
#include "cli/bench/suite/marked_tables.h"
#include "cli/bench/suite/suite_document.h"
#include "cli/bench/suite/suite_plan.h"
#include "cli/bench/suite/suite_report.h"
#include "cli/bench/suite/suite_tables.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* kDocument = "suite.json";
constexpr const char* kMarkdown = "suite.md";
constexpr const char* kHtml = "report.html";
constexpr const char* kDefaultFolder = "bench-results";
constexpr double kBusy = 0.05;  ///< of the machine's time: other programs disturbed a measurement

struct Options {
  SuiteOptions suite;
  bool quick = false, all = false, resume = false, list = false;
  fs::path results = kDefaultFolder;
  std::vector<std::string> imagenet;
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 16> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return {text.data(), length};
}

/// The command that makes these results, without folders.
std::string command_of(const Options& options) {
  std::string command = "popcorn bench suite";
  if (options.quick) command += " --quick";
  if (options.all) command += " --all";
  if (options.suite.runs > 0) command += " --runs " + std::to_string(options.suite.runs);
  if (!options.suite.only.empty()) command += " --only " + options.suite.only;
  for (const std::string& file : options.imagenet)
    command += " --imagenet " + fs::path(file).filename().string();
  return command;
}

std::string command_line(const SuiteCell& cell) {
  std::string line;
  for (const std::string& setting : cell.environment) line += setting + " ";
  line += "popcorn";
  for (const std::string& argument : cell.arguments) line += " " + argument;
  return line;
}

void write_outputs(const fs::path& folder, const nlohmann::ordered_json& json) {
  const SuiteDocument suite(json);
  write_file(folder / kDocument, as_bytes(json.dump(1) + "\n"));
  write_file(folder / kMarkdown, as_bytes(suite_markdown(suite)));
  write_file(folder / kHtml, as_bytes(suite_report_html(suite)));
}

/// What was skipped, in one line of its own that nobody overlooks.
void say_skipped(const std::string& what) {
  std::cerr << "popcorn: SKIPPED: " << what << '\n';
}

SuiteOptions suite_options(const Options& options) {
  SuiteOptions suite = options.suite;
  suite.extent = options.all     ? SuiteOptions::Extent::all
                 : options.quick ? SuiteOptions::Extent::quick
                                 : SuiteOptions::Extent::standard;
  suite.emulates_networks = can_emulate(network_profiles().back());
  for (const std::string& file : options.imagenet) suite.imagenet.emplace_back(file);
  return suite;
}

/// Measures what is not there yet; how many cells failed.
std::size_t measure(const std::vector<SuiteCell>& cells, const CellStore& store, bool resume,
                    nlohmann::ordered_json& results) {
  std::size_t number = 0, failed = 0;
  for (const SuiteCell& cell : cells) {
    const std::string place =
        "[" + std::to_string(++number) + "/" + std::to_string(cells.size()) + "] " + cell.id;
    if (resume) {
      if (auto kept = store.find(cell)) {
        std::cout << place << ": kept\n" << std::flush;
        results.push_back(std::move(*kept));
        continue;
      }
    }
    std::cout << place << ": " << std::flush;
    try {
      CellRun run = run_cell(cell);
      nlohmann::ordered_json result = store.head_of(cell);
      result["finished"] = today();
      result["process_seconds"] = run.seconds;
      result["busy_elsewhere"] = run.busy_elsewhere;
      result["report"] = std::move(run.report);
      store.write(cell, result);
      std::cout << human_seconds(run.seconds)
                << (run.busy_elsewhere > kBusy ? ", disturbed: other programs took " +
                                                     human_percent(run.busy_elsewhere, 0) + " of the machine"
                                               : std::string())
                << '\n'
                << std::flush;
      results.push_back(std::move(result));
    } catch (const Error& error) {
      if (error.code() != "suite.cell") throw;
      std::cout << "FAILED\n" << std::flush;
      std::cerr << "popcorn: " << error.what() << '\n';
      ++failed;
    }
  }
  return failed;
}

int bench_suite(const Options& options) {
  if (options.quick && options.all) throw UsageError("suite.extent", "give one of --quick and --all");
  const SuiteOptions suite = suite_options(options);
  const std::vector<SuiteCell> cells = plan_suite(suite);
  if (options.list) {
    for (const SuiteCell& cell : cells) std::cout << cell.id << "\t" << command_line(cell) << '\n';
    return 0;
  }
  if (cells.empty()) throw UsageError("suite.only", "no measurement has \"" + suite.only + "\" in its name");
  if (suite.data.empty()) {
    say_skipped("accuracies, since there is no data folder: give it with --data DIR or in POPCORN_DATA");
  }
  if (!suite.emulates_networks) {
    say_skipped(
        "LAN and WAN by netem, which this machine does not permit: they are computed from rounds and bytes");
  }
  const auto start = std::chrono::steady_clock::now();
  const CellStore store(options.results / "cells", SuiteConditions::here());
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  const std::size_t failed = measure(cells, store, options.resume, results);
  const SuiteConditions& conditions = store.conditions();
  nlohmann::ordered_json document = {{"command", command_of(options)},      {"version", conditions.version},
                                     {"build", conditions.build},           {"machine", conditions.machine},
                                     {"emulated", suite.emulates_networks}, {"finished", today()}};
  document["cells"] = std::move(results);
  write_outputs(options.results, document);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::cout << "\n"
            << counted(cells.size() - failed, "measurement") << " in " << human_seconds(elapsed.count())
            << "; " << (options.results / kDocument).string() << ", " << kMarkdown << " and " << kHtml
            << " written\n";
  if (failed > 0) throw Error("suite.failed", counted(failed, "measurement") + " failed");
  return 0;
}

struct ReportOptions {
  fs::path results;
  fs::path html, markdown, update, check;
};

SuiteDocument read_document(const fs::path& path) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? path / kDocument : path;
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_text_file(file), nullptr, false);
  if (json.is_discarded()) throw InputError("suite.document", file.string() + " is not valid JSON");
  return SuiteDocument(std::move(json));
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

int bench_report(const ReportOptions& options) {
  const SuiteDocument suite = read_document(options.results);
  if (!options.html.empty()) write_file(options.html, as_bytes(suite_report_html(suite)));
  if (!options.markdown.empty()) write_file(options.markdown, as_bytes(suite_markdown(suite)));
  if (!options.update.empty()) {
    const MarkedDocument document = with_tables(read_text_file(options.update), suite_tables(suite));
    if (!document.changed.empty()) write_file(options.update, as_bytes(document.text));
    std::cout << options.update.string() << ": "
              << (document.changed.empty() ? std::string("nothing to change")
                                           : "new: " + list(document.changed))
              << '\n';
  }
  if (!options.check.empty()) {
    const MarkedDocument document = with_tables(read_text_file(options.check), suite_tables(suite));
    if (!document.changed.empty()) {
      throw CheckError("document.changed", options.check.string() + " has other tables than the results: " +
                                               list(document.changed) +
                                               "; popcorn bench report --update writes them");
    }
  }
  if (options.html.empty() && options.markdown.empty() && options.update.empty() && options.check.empty()) {
    std::cout << suite_markdown(suite);
  }
  return 0;
}

void add_report_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command =
      bench.add_subcommand("report", "Tables and plots of a suite's results, without measuring");
  command->add_option("results", options->results, "Folder of a suite, or its suite.json")
      ->required()
      ->type_name("RESULTS");
  command->add_option("--html", options->html, "Write the report as one HTML file")->type_name("FILE");
  command->add_option("--markdown", options->markdown, "Write all tables as Markdown")->type_name("FILE");
  command
      ->add_option("--update", options->update,
                   "Write the tables of a document anew that stand between <!-- table NAME --> and <!-- end "
                   "of table -->")
      ->type_name("FILE");
  command->add_option("--check", options->check, "Exit code 8 unless they are as --update would write them")
      ->type_name("FILE");
  command->footer(
      "Example:\n  popcorn bench report docs/results --html report.html\n"
      "  popcorn bench report docs/results --check docs/benchmarks.md\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_report(*options); }; });
}

}  // namespace

void add_bench_suite_command(CLI::App& bench, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = bench.add_subcommand(
      "suite", "The zoo, all engines and roundings, keys, kernels, networks: one report of everything");
  command->add_flag("--quick", options->quick, "MNIST's networks and one for CIFAR-10, medians of three");
  command->add_flag("--all", options->all, "Every combination; hours");
  command
      ->add_option("--results", options->results,
                   "Folder for suite.json, suite.md and report.html, and for the measurements one by one")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_flag("--resume", options->resume,
                    "Keep measurements in that folder that are of the same program, machine and arguments");
  command->add_option("--runs", options->suite.runs, "Inferences a measurement (default: 5; 3 when quick)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  command->add_option("--only", options->suite.only, "Measurements whose name contains TEXT")
      ->type_name("TEXT");
  command->add_flag("--list", options->list, "Only tell what would be measured");
  command
      ->add_option(
          "--data", options->suite.data,
          "Folder of the test sets, for accuracies; pictures for --imagenet are in imagenet-samples/ there")
      ->type_name("DIR")
      ->envname("POPCORN_DATA");
  command
      ->add_option("--imagenet", options->imagenet,
                   "Also measure this .popcorn file on pictures of ImageNet; may be repeated")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->footer(
      "Example:\n  popcorn bench suite --quick --results bench-results\n"
      "  popcorn bench suite --resume --results bench-results --only mnist-conv2\n");
  command->callback([options, &chosen] { chosen = [options] { return bench_suite(*options); }; });
  add_report_command(bench, chosen);
}

}  // namespace popcorn::cli
