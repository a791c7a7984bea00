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

struct EvaluateOptions {
  std::string model;
  datasets::TestSetChoice data;
  bool exact = false;
  bool json = false;
};

/// Index of the largest value·scale of one row; the lowest wins a tie, as in predict().
std::size_t best_of(const double* logits, std::size_t count, const std::vector<double>& scale) {
  std::size_t best = 0;
  const bool is_scale_per_logit = scale.size() == count;
  const auto value = [&](std::size_t i) { return logits[i] * (is_scale_per_logit ? scale[i] : 1.0); };
  for (std::size_t i = 1; i < count; ++i) {
    if (value(i) > value(best)) best = i;
  }
  return best;
}

/// Correct answers among images [first, last), in double precision.
std::size_t correct_fast(const models::IntegerNetwork& network, const models::FastEvaluator& evaluator,
                         const datasets::TestSet& data, std::size_t first, std::size_t last) {
  std::vector<std::int16_t> inputs;
  for (std::size_t i = first; i < last; ++i) {
    const WideVector input = models::encode_image(network.encoding, data.image(i));
    for (std::size_t k = 0; k < input.size(); ++k)
      inputs.push_back(static_cast<std::int16_t>(input.to_int64(k)));
  }
  const std::vector<double> logits = evaluator.run(inputs, last - first);
  const auto outputs = static_cast<std::size_t>(network.output().shape.size());
  std::size_t correct = 0;
  for (std::size_t i = first; i < last; ++i) {
    const double* row = logits.data() + (i - first) * outputs;
    if (best_of(row, outputs, network.output().scale) == data.labels[i]) ++correct;
  }
  return correct;
}

/// Likewise with the exact evaluator.
std::size_t correct_exact(const models::IntegerNetwork& network, const datasets::TestSet& data,
                          std::size_t first, std::size_t last) {
  std::size_t correct = 0;
  for (std::size_t i = first; i < last; ++i) {
    const WideVector logits =
        models::evaluate(network, models::encode_image(network.encoding, data.image(i)));
    if (models::predict(logits, network.output().scale, false, {}).index == data.labels[i]) ++correct;
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
  std::atomic<std::size_t> correct{0};
  std::atomic<std::size_t> done{0};
  Progress progress("evaluating " + network.name);
  const auto start = std::chrono::steady_clock::now();
  oneapi::tbb::parallel_for(std::size_t{0}, batches, [&](std::size_t batch) {
    const std::size_t first = batch * kImagesPerBatch;
    const std::size_t last = std::min(first + kImagesPerBatch, data.count());
    correct += options.exact ? correct_exact(network, data, first, last)
                             : correct_fast(network, evaluator, data, first, last);
    progress.update(done += last - first, data.count());
  });
  progress.clear();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const double accuracy = static_cast<double>(correct) / static_cast<double>(data.count());
  if (options.json) {
    print_json(std::cout, {{"model", network.name},
                           {"config_id", network.config_id()},
                           {"data", data.name},
                           {"images", data.count()},
                           {"correct", correct.load()},
                           {"accuracy", accuracy},
                           {"exact", is_exact},
                           {"seconds", elapsed.count()}});
    return 0;
  }
  std::cout << network.name << ": " << human_percent(accuracy) << " of " << grouped(data.count())
            << " test images of " << data.name << " (" << grouped(correct) << " correct, "
            << human_seconds(elapsed.count()) << (is_exact ? ", exact integers" : ", double precision")
            << ")\n";
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
