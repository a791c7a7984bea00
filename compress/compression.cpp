#include "compress/compression.h"

#include <algorithm>
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

constexpr int kFloatBits = 32;

double density(const FloatGraph& graph) {
  return graph.weights() == 0 ? 1 : static_cast<double>(graph.kept()) / static_cast<double>(graph.weights());
}

/// @param next the point that the next epoch adds to `points`, but for phase, epoch and accuracy; the caller
/// keeps it up to date
TrainingHooks training_hooks(const CompressionHooks& hooks, const char* phase, const Dataset& test,
                             const FloatGraph& teacher, const VisitedPoint& next,
                             std::vector<VisitedPoint>& points) {
  TrainingHooks result;
  result.phase = phase;
  result.test = hooks.report || hooks.measure ? &test : nullptr;
  result.teacher = &teacher;
  result.report = [&](const EpochReport& report) {
    if (report.test_accuracy >= 0)
      points.push_back({report.phase, report.epoch, next.density, next.bits, report.test_accuracy});
    if (hooks.report) hooks.report(report);
  };
  result.stop = hooks.stop;
  return result;
}

void prune_with_training(FloatGraph& graph, const FloatGraph& teacher, const Dataset& training,
                         const Dataset& test, const CompressionOptions& options,
                         const CompressionHooks& hooks, std::vector<VisitedPoint>& points) {
  VisitedPoint next{"", 0, 1, kFloatBits, 0};
  TrainingHooks training_hook = training_hooks(hooks, "prune", test, teacher, next, points);
  bool reached = false;
  training_hook.rewrite = [&](double done, FloatGraph& current) {
    if (reached) return false;
    const double ramp = options.ramp > 0 ? done / options.ramp : 1;
    reached = ramp >= 1;
    prune(current, options.pruning, gradual_sparsity(1, ramp));
    next.density = density(current);
    return true;
  };
  if (options.pruning_training.epochs > 0) {
    train(graph, training, options.pruning_training, training_hook);
  }
  if (!reached) prune(graph, options.pruning);
}

models::IntegerNetwork rounded_to_8_bits(FloatGraph graph) {
  QuantisationOptions options;
  options.bits = 8;
  quantise(graph, options);
  return lower(graph);
}

int weight_bits(const models::IntegerNetwork& network) {
  unsigned bits = 0;
  for (const models::Node& node : network.nodes) bits = std::max(bits, node.weight_bits());
  return static_cast<int>(bits);
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
  result.points.push_back({"float", 0, density(graph), kFloatBits, result.float_accuracy});
  result.uncompressed = rounded_to_8_bits(graph);
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
    prune_with_training(graph, teacher, training, test, options, hooks, result.points);
    result.pruned_accuracy = accuracy(graph, test);
    result.points.push_back({"pruned", 0, density(graph), kFloatBits, result.pruned_accuracy});
    quantise(graph, options.quantisation);
  }
  const VisitedPoint next{"", 0, density(graph), 0, 0};  // the bits are known at the end
  if (options.quantisation_training.epochs > 0) {
    train(graph, training, options.quantisation_training,
          training_hooks(hooks, "quantise", test, teacher, next, result.points));
  }
  result.network = lower(graph);
  result.integer_accuracy = integer_accuracy(result.network, test);
  const double nonzero =
      static_cast<double>(result.network.nonzeros()) / static_cast<double>(result.network.weights());
  const int bits = weight_bits(result.network);
  for (VisitedPoint& point : result.points) point.bits = point.phase == "quantise" ? bits : point.bits;
  result.points.push_back({"integer", 0, nonzero, bits, result.integer_accuracy});
  result.graph = std::move(graph);
  if (options.max_drop) guard(result, *options.max_drop);
  return result;
}

}  // namespace popcorn::compress
