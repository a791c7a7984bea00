// popcorn compare: where two forms of a network part, layer by layer.
#include <oneapi/tbb/parallel_for.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/options/test_set_options.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/evaluation/plaintext_evaluator.h"

namespace popcorn::cli {

namespace {

using models::IntegerNetwork;
using models::NodeKind;

struct CompareOptions {
  std::string first, second;  ///< second empty: the first's requantised form
  datasets::TestSetChoice data;
  bool json = false;
};

/// Products of the values of one channel in both networks.
struct ChannelSums {
  double first = 0, second = 0, both = 0;
};

/// A layer of the same name and shape in both networks.
struct Pair {
  std::size_t first, second;
  std::vector<ChannelSums> channels;

  /// Of the second's values against the first's, each channel by the factor that fits best: units differ.
  double signal_to_noise_db() const {
    double signal = 0, noise = 0;
    for (const ChannelSums& c : channels) {
      signal += c.first;
      noise += c.second > 0 ? std::max(0.0, c.first - c.both * c.both / c.second) : c.first;
    }
    constexpr double kNothing = 1e-12;  // what double precision leaves of equal values
    return noise > kNothing * signal ? 10 * std::log10(signal / noise) : INFINITY;
  }
};

/// A picture that the two networks answer differently.
struct Different {
  std::size_t picture, label, first, second;
};

struct Comparison {
  std::vector<Pair> pairs;
  std::vector<Different> different;
  std::size_t pictures = 0;
  /// Of `pairs`: where most signal is lost at once.
  std::optional<std::size_t> parting() const {
    std::optional<std::size_t> found;
    double most = 0, before = INFINITY;
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      const double now = pairs[k].signal_to_noise_db();
      // Losses are compared as noise shares: from nothing at all to some counts from 100 dB on.
      const double lost = std::min(before, 100.0) - std::min(now, 100.0);
      if (lost > most) most = lost, found = k;
      before = now;
    }
    return found;
  }
};

std::vector<Pair> common_layers(const IntegerNetwork& first, const IntegerNetwork& second) {
  std::vector<Pair> pairs;
  for (std::size_t i = 1; i < first.nodes.size(); ++i) {
    const models::Node& node = first.nodes[i];
    const auto other = second.find(node.name);
    if (!other || node.kind == NodeKind::flatten || !(second.nodes[*other].shape == node.shape)) continue;
    pairs.push_back({i, *other, std::vector<ChannelSums>(static_cast<std::size_t>(node.shape.channels))});
  }
  return pairs;
}

void add_values(const WideVector& x, const WideVector& y, std::vector<ChannelSums>& channels) {
  const std::size_t plane = x.size() / channels.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double a = x.to_double(i), b = y.to_double(i);
    ChannelSums& sums = channels[i / plane];
    sums.first += a * a;
    sums.second += b * b;
    sums.both += a * b;
  }
}

/// The class of the largest logit.
std::size_t answer(const IntegerNetwork& network, const WideVector& logits) {
  const std::vector<double>& scale = network.output().scale;
  if (scale.size() == 1) return models::arg_max(logits);
  std::size_t best = 0;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits.to_double(i) * scale[i] > logits.to_double(best) * scale[best]) best = i;
  }
  return best;
}

Comparison compare(const IntegerNetwork& first, const IntegerNetwork& second, const datasets::TestSet& data) {
  Comparison result;
  result.pairs = common_layers(first, second);
  result.pictures = data.count();
  std::mutex mutex;
  std::size_t done = 0;
  Progress progress("comparing");
  oneapi::tbb::parallel_for(std::size_t{0}, data.count(), [&](std::size_t i) {
    const std::vector<WideVector> a = models::evaluate_all(first, data.input(first.encoding, i));
    const std::vector<WideVector> b = models::evaluate_all(second, data.input(second.encoding, i));
    const std::lock_guard lock(mutex);
    for (Pair& pair : result.pairs) add_values(a[pair.first], b[pair.second], pair.channels);
    const std::size_t own = answer(first, a.back()), other = answer(second, b.back());
    if (own != other) result.different.push_back({i, data.labels[i], own, other});
    progress.update(++done, data.count());
  });
  progress.clear();
  std::ranges::sort(result.different, {}, &Different::picture);
  return result;
}

std::string kind_of(const models::Node& node) {
  return std::string(models::to_string(node.kind));
}

void print_json_report(const IntegerNetwork& first, const IntegerNetwork& second, const Comparison& result) {
  nlohmann::ordered_json report = {
      {"first", first.name},       {"first_config_id", first.config_id()},
      {"second", second.name},     {"second_config_id", second.config_id()},
      {"images", result.pictures}, {"same_answer", result.pictures - result.different.size()}};
  const auto parting = result.parting();
  report["parts_at"] = parting ? nlohmann::ordered_json(first.nodes[result.pairs[*parting].first].name)
                               : nlohmann::ordered_json();
  report["layers"] = nlohmann::ordered_json::array();
  for (const Pair& pair : result.pairs) {
    const double db = pair.signal_to_noise_db();
    report["layers"].push_back(
        {{"name", first.nodes[pair.first].name},
         {"first_kind", kind_of(first.nodes[pair.first])},
         {"second_kind", kind_of(second.nodes[pair.second])},
         {"signal_to_noise_db", std::isfinite(db) ? nlohmann::ordered_json(db) : nlohmann::ordered_json()}});
  }
  report["different"] = nlohmann::ordered_json::array();
  for (const Different& d : result.different) {
    report["different"].push_back(
        {{"picture", d.picture}, {"label", d.label}, {"first", d.first}, {"second", d.second}});
  }
  print_json(std::cout, report);
}

std::string class_name(const IntegerNetwork& network, std::size_t index) {
  return index < network.labels.size() ? network.labels[index] : std::to_string(index);
}

void print_text(const IntegerNetwork& first, const IntegerNetwork& second, const Comparison& result) {
  constexpr Table::Align kLeft = Table::Align::left;
  Table table({{"layer", kLeft}, {"first", kLeft}, {"second", kLeft}, {"signal/noise"}});
  for (const Pair& pair : result.pairs) {
    const double db = pair.signal_to_noise_db();
    table.add_row({first.nodes[pair.first].name, kind_of(first.nodes[pair.first]),
                   kind_of(second.nodes[pair.second]), std::isfinite(db) ? fixed(db, 1) + " dB" : "equal"});
  }
  table.print(std::cout);
  if (const auto parting = result.parting())
    std::cout << "Most is lost at " << first.nodes[result.pairs[*parting].first].name << ".\n";
  std::cout << "The same answer to " << grouped(result.pictures - result.different.size()) << " of "
            << grouped(result.pictures) << " test inputs\n";
  constexpr std::size_t kShown = 10;
  for (std::size_t k = 0; k < std::min(kShown, result.different.size()); ++k) {
    const Different& d = result.different[k];
    std::cout << "  input " << d.picture << " (" << class_name(first, d.label)
              << "): " << class_name(first, d.first) << ", " << class_name(second, d.second) << '\n';
  }
  if (result.different.size() > kShown)
    std::cout << "  and " << grouped(result.different.size() - kShown) << " more (--json lists them)\n";
}

int run_compare(const CompareOptions& options) {
  if (options.data.folder.empty()) {
    throw UsageError("compare.no_data", "give the folder of the test set with --data DIR or in POPCORN_DATA");
  }
  const IntegerNetwork first = load_model(options.first);
  const IntegerNetwork second =
      options.second.empty() ? load_requantised_model(options.first) : load_model(options.second);
  if (!(first.input().shape == second.input().shape) ||
      first.output().shape.size() != second.output().shape.size()) {
    throw UsageError("compare.shape", "the networks are no forms of one: " + first.name + " maps " +
                                          first.input().shape.to_string() + " to " +
                                          first.output().shape.to_string() + ", " + second.name + " maps " +
                                          second.input().shape.to_string() + " to " +
                                          second.output().shape.to_string());
  }
  const Comparison result = compare(first, second, datasets::open_test_set(options.data, first));
  options.json ? print_json_report(first, second, result) : print_text(first, second, result);
  return 0;
}

}  // namespace

void add_compare_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<CompareOptions>();
  constexpr std::size_t kUsualLimit = 100;
  options->data.limit = kUsualLimit;
  CLI::App* command =
      app.add_subcommand("compare", "Where two forms of a network part, layer by layer, on a test set");
  command->add_option("first", options->first, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("A");
  command
      ->add_option("second", options->second,
                   "Another form of it: layers are found by their names (default: of a shipped model, its "
                   "requantised form)")
      ->type_name("B");
  add_test_set_options(*command, options->data)->envname("POPCORN_DATA");
  command->add_option("--limit", options->data.limit, "Only the first N inputs; 0 takes all")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Report as JSON, with every input that is answered differently");
  command->footer(
      "Example:\n  popcorn compare mnist-conv2 --data ../shared/data\n  popcorn compare net.popcorn "
      "net-shares.popcorn --dataset folder --data pictures\n");
  command->callback([options, &chosen] { chosen = [options] { return run_compare(*options); }; });
}

}  // namespace popcorn::cli
