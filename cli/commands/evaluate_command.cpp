// popcorn evaluate: accuracy of an integer network on a test set, in plaintext.
#include <oneapi/tbb/parallel_for.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/options/test_set_options.h"
#include "cli/shipped_files.h"
#include "cli/terminal/output.h"
#include "cli/terminal/progress.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/evaluation/prediction.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kImagesPerBatch = 50;
constexpr std::int64_t kFewClasses = 10;  // the first five of which say nothing

struct EvaluateOptions {
  std::string model;
  datasets::TestSetChoice data;
  bool exact = false;
  bool json = false;
  std::string engine;    ///< "ciphertext", "shares" or empty: what the network is for
  std::string rounding;  ///< "nearest" or "fast"; empty: nearest
  std::size_t seeds = 3;
  std::string outputs;  ///< file for the integers that come out, or empty
};

/// How often the right class was the first, and among the first five.
struct Correct {
  std::size_t first = 0;
  std::size_t first_five = 0;

  void add(std::size_t rank) {
    first += rank == 0 ? 1 : 0;
    first_five += rank < kFive ? 1 : 0;
  }
  static constexpr std::size_t kFive = 5;
};

/// How many classes come before the right one in a row of logits; the lower index wins a tie, as in
/// predict().
std::size_t rank_of(const double* logits, std::size_t count, const std::vector<double>& scale,
                    std::size_t right) {
  const bool is_scale_per_logit = scale.size() == count;
  const auto value = [&](std::size_t i) { return logits[i] * (is_scale_per_logit ? scale[i] : 1.0); };
  std::size_t rank = right < count ? 0 : count;
  for (std::size_t i = 0; i < count && right < count; ++i) {
    if (value(i) > value(right) || (value(i) == value(right) && i < right)) ++rank;
  }
  return rank;
}

/// Images [first, last), in double precision.
Correct correct_fast(const models::IntegerNetwork& network, const models::FastEvaluator& evaluator,
                     const datasets::TestSet& data, std::size_t first, std::size_t last,
                     models::EvaluationOptions evaluation) {
  std::vector<std::int16_t> inputs;
  for (std::size_t i = first; i < last; ++i) {
    const WideVector input = data.input(network.encoding, i);
    for (std::size_t k = 0; k < input.size(); ++k)
      inputs.push_back(static_cast<std::int16_t>(input.to_int64(k)));
  }
  evaluation.image = first;
  const std::vector<double> logits = evaluator.run(inputs, last - first, evaluation);
  const auto outputs = static_cast<std::size_t>(network.output().shape.size());
  Correct correct;
  for (std::size_t i = first; i < last; ++i) {
    const double* row = logits.data() + (i - first) * outputs;
    correct.add(rank_of(row, outputs, network.output().scale, data.labels[i]));
  }
  return correct;
}

/// Likewise with the exact evaluator.
Correct correct_exact(const models::IntegerNetwork& network, const datasets::TestSet& data, std::size_t first,
                      std::size_t last, models::EvaluationOptions evaluation) {
  Correct correct;
  for (std::size_t i = first; i < last; ++i) {
    evaluation.image = i;
    const WideVector logits = models::evaluate(network, data.input(network.encoding, i), evaluation);
    const std::vector<models::Candidate> best =
        models::best_classes(logits, network.output().scale, false, {}, Correct::kFive);
    const auto found = std::ranges::find(best, std::size_t{data.labels[i]}, &models::Candidate::index);
    correct.add(static_cast<std::size_t>(found - best.begin()));
  }
  return correct;
}

/// One pass over the test set.
struct Accuracy {
  std::size_t correct = 0;
  std::size_t in_five = 0;
};

Accuracy pass(const EvaluateOptions& options, const models::IntegerNetwork& network,
              const models::FastEvaluator& evaluator, const datasets::TestSet& data,
              const models::EvaluationOptions& evaluation) {
  const std::size_t batches = (data.count() + kImagesPerBatch - 1) / kImagesPerBatch;
  std::atomic<std::size_t> correct{0}, in_five{0}, done{0};
  Progress progress("evaluating " + network.name);
  oneapi::tbb::parallel_for(std::size_t{0}, batches, [&](std::size_t batch) {
    const std::size_t first = batch * kImagesPerBatch;
    const std::size_t last = std::min(first + kImagesPerBatch, data.count());
    const Correct part = options.exact ? correct_exact(network, data, first, last, evaluation)
                                       : correct_fast(network, evaluator, data, first, last, evaluation);
    correct += part.first;
    in_five += part.first_five;
    progress.update(done += last - first, data.count());
  });
  progress.clear();
  return {correct, in_five};
}

/// One line of JSON a picture or row, in the set's order: {"input": i or a file's name, "label": c,
/// "outputs": [integers]}.
void write_outputs(const EvaluateOptions& options, const models::IntegerNetwork& network,
                   const datasets::TestSet& data) {
  std::string lines;
  Progress progress("outputs of " + network.name);
  for (std::size_t i = 0; i < data.count(); ++i) {
    const WideVector result = models::evaluate(network, data.input(network.encoding, i));
    nlohmann::ordered_json line;
    line["input"] = i;
    if (!data.files.empty()) line["input"] = data.files[i];
    line["label"] = data.labels[i];
    line["outputs"] = exact_integers(result);
    lines += line.dump() + '\n';
    progress.update(i + 1, data.count());
  }
  progress.clear();
  write_file(options.outputs, as_bytes(lines));
}

/// @throws UsageError "evaluate.engine", "evaluate.rounding" when engine, rounding and network do not fit
models::IntegerNetwork network_for(const EvaluateOptions& options) {
  if (options.engine == "shares") {
    models::IntegerNetwork network = load_requantised_model(options.model);
    if (network.is_requantised()) return network;
    throw UsageError("evaluate.engine",
                     "the network " + network.name + " is exact; shares need a requantised one");
  }
  models::IntegerNetwork network = load_model(options.model);
  if (options.engine == "ciphertext" && network.is_requantised()) {
    throw UsageError("evaluate.engine",
                     "the network " + network.name + " is requantised; ciphertexts need an exact one");
  }
  if (!options.rounding.empty() && !network.is_requantised()) {
    throw UsageError("evaluate.rounding", "the network " + network.name + " rounds nowhere; see --engine");
  }
  return network;
}

/// Mean and standard deviation (of the sample; 0 for one) of the accuracies.
std::pair<double, double> mean_and_spread(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double spread = values.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1));
  return {mean, spread};
}

nlohmann::ordered_json range_json(const models::IntegerNetwork& network, const models::RangeCounts& counts) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (counts.values(i) == 0) continue;
    layers.push_back(
        {{"layer", network.nodes[i].name}, {"values", counts.values(i)}, {"beyond_range", counts.beyond(i)}});
  }
  return layers;
}

void print_ranges(const models::IntegerNetwork& network, const models::RangeCounts& counts) {
  std::cout << "values beyond their range: " << grouped(counts.beyond()) << " of " << grouped(counts.values())
            << '\n';
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (counts.beyond(i) == 0) continue;
    std::cout << "  " << network.nodes[i].name << ": " << grouped(counts.beyond(i)) << " of "
              << grouped(counts.values(i)) << '\n';
  }
}

int evaluate(const EvaluateOptions& options) {
  if (options.data.folder.empty()) {
    throw UsageError("evaluate.no_data",
                     "give the folder of the test set with --data DIR or in POPCORN_DATA");
  }
  const models::IntegerNetwork network = network_for(options);
  const datasets::TestSet data = datasets::open_test_set(options.data, network);
  const models::FastEvaluator evaluator(network);
  const bool is_exact = options.exact || evaluator.is_exact();
  const bool is_fast = options.rounding == "fast";

  models::RangeCounts counts(network);
  std::size_t correct = 0, in_five = 0;  // of the first seed
  std::vector<double> accuracies;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t seed = 0; seed < (is_fast ? options.seeds : 1); ++seed) {
    models::EvaluationOptions evaluation;
    if (is_fast) evaluation.rounding = models::Rounding::stochastic(seed);
    if (network.is_requantised()) evaluation.counts = &counts;
    const Accuracy found = pass(options, network, evaluator, data, evaluation);
    accuracies.push_back(static_cast<double>(found.correct) / static_cast<double>(data.count()));
    if (seed == 0) correct = found.correct, in_five = found.in_five;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (!options.outputs.empty()) write_outputs(options, network, data);
  const auto [accuracy, spread] = mean_and_spread(accuracies);
  const double accuracy_of_five = static_cast<double>(in_five) / static_cast<double>(data.count());
  if (options.json) {
    nlohmann::ordered_json report = {{"model", network.name},
                                     {"config_id", network.config_id()},
                                     {"data", data.name},
                                     {"images", data.count()},
                                     {"correct", correct},
                                     {"accuracy", accuracy},
                                     {"accuracy_top5", accuracy_of_five},
                                     {"exact", is_exact},
                                     {"seconds", elapsed.count()}};
    if (network.is_requantised()) {
      report["rounding"] = is_fast ? "fast" : "nearest";
      report["accuracies"] = accuracies;
      report["accuracy_spread"] = spread;
      report["values"] = counts.values();
      report["beyond_range"] = counts.beyond();
      report["ranges"] = range_json(network, counts);
    }
    print_json(std::cout, report);
    return 0;
  }
  const bool is_five_telling = network.output().shape.size() > kFewClasses;
  std::cout << network.name << ": " << human_percent(accuracy) << " of " << grouped(data.count())
            << " test images of " << data.name << (is_five_telling ? ", " : "")
            << (is_five_telling ? human_percent(accuracy_of_five) + " among the first five" : "") << " (";
  if (is_fast) {
    std::cout << "mean of " << accuracies.size() << " seeds, spread " << human_percent(spread)
              << ", fast rounding";
  } else {
    std::cout << grouped(correct) << " correct" << (network.is_requantised() ? ", rounded to nearest" : "");
  }
  std::cout << ", " << human_seconds(elapsed.count())
            << (is_exact ? ", exact integers" : ", double precision") << ")\n";
  if (network.is_requantised()) print_ranges(network, counts);
  return 0;
}

}  // namespace

void add_evaluate_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Accuracy of a model on a test set, in plaintext integers");
  command->add_option("model", options->model, "Path of a .popcorn file or name of a shipped model")
      ->required()
      ->type_name("MODEL");
  add_test_set_options(*command, options->data)->envname("POPCORN_DATA");
  command->add_option("--limit", options->data.limit, "Only the first N images; 0 takes all")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--exact", options->exact,
                    "Use the exact evaluator even where double precision is exact or good enough (slower)");
  command
      ->add_option("--engine", options->engine,
                   "ciphertext: exact integers; shares: the requantised form, also of a shipped model "
                   "(default: what the file is for)")
      ->check(CLI::IsMember({"ciphertext", "shares"}));
  command
      ->add_option("--rounding", options->rounding,
                   "Of a requantised network: nearest (the default), or fast: at random, as served with fast "
                   "rounding")
      ->check(CLI::IsMember({"nearest", "fast"}));
  command->add_option("--seeds", options->seeds, "With --rounding fast: evaluate so many times")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--outputs", options->outputs,
                   "Write what comes out of the network, rounded to nearest, to this file: a line of JSON an "
                   "input, {\"input\": its number or file, \"label\": c, \"outputs\": [integers]}")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn evaluate mnist-conv2 --data ../shared/data\n  popcorn evaluate mnist-conv2 "
      "--engine shares --rounding fast --data ../shared/data\n  popcorn evaluate net.popcorn "
      "--dataset folder --data pictures --outputs answers.jsonl\n");
  command->callback([options, &chosen] { chosen = [options] { return evaluate(*options); }; });
}

}  // namespace popcorn::cli
