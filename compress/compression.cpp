#include "compress/compression.h"

#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "compress/cost_budget.h"
#include "compress/executor.h"
#include "compress/filter_pruning.h"
#include "compress/fold_batch_norm.h"
#include "compress/integer_accuracy.h"
#include "compress/lowering.h"
#include "compress/post_training.h"

namespace popcorn::compress {

namespace {

std::string percent(double share) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << std::fixed << std::setprecision(2) << 100 * share << " %";
  return text.str();
}

TrainingHooks training_hooks(const CompressionHooks& hooks, const char* phase, const Dataset& test,
                             const FloatGraph& teacher) {
  TrainingHooks result;
  result.phase = phase;
  result.test = hooks.report ? &test : nullptr;
  result.teacher = &teacher;
  result.report = hooks.report;
  result.stop = hooks.stop;
  return result;
}

void prune_with_training(FloatGraph& graph, const FloatGraph& teacher, const Dataset& training,
                         const Dataset& test, const CompressionOptions& options,
                         const CompressionHooks& hooks) {
  TrainingHooks training_hook = training_hooks(hooks, "prune", test, teacher);
  bool reached = false;
  training_hook.rewrite = [&](double done, FloatGraph& current) {
    if (reached) return false;
    const double ramp = options.ramp > 0 ? done / options.ramp : 1;
    reached = ramp >= 1;
    prune(current, options.pruning, gradual_sparsity(1, ramp));
    return true;
  };
  if (options.pruning_training.epochs > 0) {
    train(graph, training, options.pruning_training, training_hook);
  }
  if (!reached) prune(graph, options.pruning);
}

void guard(const CompressionResult& result, double max_drop) {
  const double drop = result.float_accuracy - result.integer_accuracy;
  if (drop <= max_drop) return;
  throw CheckError("compress.accuracy", "accuracy fell from " + percent(result.float_accuracy) + " to " +
                                            percent(result.integer_accuracy) + ", more than the permitted " +
                                            percent(max_drop) + "; nothing was written");
}

}  // namespace

CompressionResult compress_network(FloatGraph graph, const Dataset& training, const Dataset& test,
                                   CompressionOptions options, const CompressionHooks& hooks) {
  fold_batch_norm(graph);
  const FloatGraph teacher = graph;
  CompressionResult result;
  result.test_images = test.count();
  result.float_accuracy = accuracy(graph, test);
  if (options.filters > 0) remove_filters(graph, options.filters);
  if (options.target_cost) {
    options.pruning.sparsity =
        sparsity_for_cost(graph, options.pruning, options.quantisation, *options.target_cost);
  }
  if (options.calibration_images > 0) {
    compress_post_training(graph, training.first(options.calibration_images),
                           {options.pruning, options.quantisation});
    result.pruned_accuracy = accuracy(graph, test);
  } else {
    prune_with_training(graph, teacher, training, test, options, hooks);
    result.pruned_accuracy = accuracy(graph, test);
    quantise(graph, options.quantisation);
  }
  if (options.quantisation_training.epochs > 0) {
    train(graph, training, options.quantisation_training, training_hooks(hooks, "quantise", test, teacher));
  }
  result.network = lower(graph);
  result.integer_accuracy = integer_accuracy(result.network, test);
  result.graph = std::move(graph);
  if (options.max_drop) guard(result, *options.max_drop);
  return result;
}

}  // namespace popcorn::compress
