// popcorn evaluate: accuracy of an integer network on a test set, in plaintext.
#include <oneapi/tbb/parallel_for.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/shipped_files.h"
#include "cli/test_set_options.h"
#include "models/plaintext_evaluator.h"
#include "models/prediction.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kImagesPerBatch = 50;
constexpr std::int64_t kFewClasses = 10;  // the first five of which say nothing

struct EvaluateOptions {
  std::string model;
  datasets::TestSetChoice data;
  bool exact = false;
  bool json = false;
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
                     const datasets::TestSet& data, std::size_t first, std::size_t last) {
  std::vector<std::int16_t> inputs;
  for (std::size_t i = first; i < last; ++i) {
    const WideVector input = data.input(network.encoding, i);
    for (std::size_t k = 0; k < input.size(); ++k)
      inputs.push_back(static_cast<std::int16_t>(input.to_int64(k)));
  }
  const std::vector<double> logits = evaluator.run(inputs, last - first);
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
                      std::size_t last) {
  Correct correct;
  for (std::size_t i = first; i < last; ++i) {
    const WideVector logits = models::evaluate(network, data.input(network.encoding, i));
    const std::vector<models::Candidate> best =
        models::best_classes(logits, network.output().scale, false, {}, Correct::kFive);
    const auto found = std::ranges::find(best, std::size_t{data.labels[i]}, &models::Candidate::index);
    correct.add(static_cast<std::size_t>(found - best.begin()));
  }
  return correct;
}

int evaluate(const EvaluateOptions& options) {
  if (options.data.folder.empty()) {
    throw UsageError("evaluate.no_data",
                     "give the folder of the test set with --data DIR or in POPCORN_DATA");
  }
  const models::IntegerNetwork network = load_model(options.model);
  const datasets::TestSet data = datasets::open_test_set(options.data, network);
  const models::FastEvaluator evaluator(network);
  const bool is_exact = options.exact || evaluator.is_exact();

  const std::size_t batches = (data.count() + kImagesPerBatch - 1) / kImagesPerBatch;
  std::atomic<std::size_t> correct{0}, in_five{0};
  std::atomic<std::size_t> done{0};
  Progress progress("evaluating " + network.name);
  const auto start = std::chrono::steady_clock::now();
  oneapi::tbb::parallel_for(std::size_t{0}, batches, [&](std::size_t batch) {
    const std::size_t first = batch * kImagesPerBatch;
    const std::size_t last = std::min(first + kImagesPerBatch, data.count());
    const Correct part = options.exact ? correct_exact(network, data, first, last)
                                       : correct_fast(network, evaluator, data, first, last);
    correct += part.first;
    in_five += part.first_five;
    progress.update(done += last - first, data.count());
  });
  progress.clear();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto share = [&](std::size_t count) {
    return static_cast<double>(count) / static_cast<double>(data.count());
  };
  const double accuracy = share(correct), accuracy_of_five = share(in_five);
  if (options.json) {
    print_json(std::cout, {{"model", network.name},
                           {"config_id", network.config_id()},
                           {"data", data.name},
                           {"images", data.count()},
                           {"correct", correct.load()},
                           {"accuracy", accuracy},
                           {"accuracy_top5", accuracy_of_five},
                           {"exact", is_exact},
                           {"seconds", elapsed.count()}});
    return 0;
  }
  const bool is_five_telling = network.output().shape.size() > kFewClasses;
  std::cout << network.name << ": " << human_percent(accuracy) << " of " << grouped(data.count())
            << " test images of " << data.name << (is_five_telling ? ", " : "")
            << (is_five_telling ? human_percent(accuracy_of_five) + " among the first five" : "") << " ("
            << grouped(correct) << " correct, " << human_seconds(elapsed.count())
            << (is_exact ? ", exact integers" : ", double precision") << ")\n";
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
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Example:\n  popcorn evaluate mnist-conv2 --data ../shared/data\n  popcorn evaluate net.popcorn "
      "--dataset folder --data pictures\n");
  command->callback([options, &chosen] { chosen = [options] { return evaluate(*options); }; });
}

}  // namespace popcorn::cli
