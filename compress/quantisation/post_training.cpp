#include "compress/quantisation/post_training.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "compress/interruption.h"
#include "compress/pruning/sensitivity.h"
#include "compress/quantisation/calibration.h"
#include "compress/quantisation/reconstruction.h"

namespace popcorn::compress {

namespace {

/// Masks out what is zero in the network as it came: somebody pruned it already.
std::vector<std::uint8_t> zeros_of(const FloatNode& node) {
  std::vector<std::uint8_t> mask;
  for (const float w : node.weights) mask.push_back(w == 0 ? 0 : 1);
  return mask;
}

/// Estimated losses of the weights of one layer, in the order of the weights; they count by their number.
using Losses = std::vector<float>;

class SecondOrderRounder : public LayerRounder {
 public:
  SecondOrderRounder(const FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options)
      : calibration_(graph, pictures, options.stop), options_(options) {
    for (const FloatNode& node : graph.nodes) zeros_.push_back(zeros_of(node));
    importance_.resize(graph.nodes.size());
    if (options.pruning.scope == PruningScope::sensitivity) {
      check_pruning(graph, options.pruning);
      importance_ = output_sensitivities(graph, pictures, options.stop);
      removed_ = shares_by_loss(graph, pictures);
    } else {
      FloatGraph pruned = graph;
      prune(pruned, options.pruning);
      for (const FloatNode& node : pruned.nodes) removed_.push_back(node.weights.size() - node.kept());
    }
    for (std::size_t i = 0; i < removed_.size(); ++i) {
      removed_[i] = std::max(removed_[i], static_cast<std::uint64_t>(std::ranges::count(zeros_[i], 0)));
    }
  }

  void prepare(const FloatGraph& graph, std::size_t layer, std::vector<double>& weights,
               std::vector<std::uint8_t>& mask) override {
    HalvedMoments moments = calibration_.moments(graph, layer);
    throw_if_stopped(options_.stop);
    const double damping =
        moments.first.columns == 0 ? options_.damping : choose_damping(moments, weights, options_.damping);
    if (mask.empty()) mask = zeros_[layer];
    adapt(std::move(moments.both), damping, weights);
    throw_if_stopped(options_.stop);
    reconstruction_->prune(weights, mask, removed_[layer], importance_[layer]);
    throw_if_stopped(options_.stop);
  }

  void round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
             const std::vector<double>& steps, const WeightGrid& grid) override {
    reconstruction_->round(weights, mask, [&](std::size_t output, double value) {
      return steps[output] * grid.nearest(static_cast<float>(value / steps[output]));
    });
  }

  RangeSource ranges() const {
    return [this](const FloatGraph& graph, std::size_t node) { return calibration_.ranges(graph, node); };
  }

  std::vector<double> biases(const std::vector<double>& weights) override {
    return reconstruction_->biases(weights);
  }

 private:
  /// Again with its inputs held where a weight went astray, which is rare.
  void adapt(LayerMoments moments, double damping, std::vector<double>& weights) {
    const std::vector<double> before = weights;
    const std::size_t groups = moments.groups, columns = moments.columns;
    std::vector<std::uint8_t> pinned;
    for (int attempt = 1;; ++attempt) {
      reconstruction_ = std::make_unique<Reconstruction>(moments, damping, pinned);
      throw_if_stopped(options_.stop);
      weights = before;
      reconstruction_->adapt(weights);
      if (attempt == kAttempts || !pin_outliers(before, weights, groups, columns, pinned)) return;
    }
  }

  /// How many weights each node loses when all those go that the predictions depend on least.
  std::vector<std::uint64_t> shares_by_loss(const FloatGraph& graph, const Dataset& pictures) {
    const Calibration calibration(graph, pictures, options_.stop);
    std::vector<std::uint64_t> result(graph.nodes.size());
    std::vector<Losses> losses(graph.nodes.size());
    std::uint64_t total = 0, decided = 0;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const FloatNode& node = graph.nodes[i];
      if (!node.has_weights()) continue;
      total += node.weights.size();
      if (const LayerSparsity* const own = own_sparsity(node, options_.pruning)) {
        result[i] = share_of(own->sparsity, node.weights.size());
        decided += result[i];
      } else {
        losses[i] = losses_of(node, calibration.input_moments(i), importance_[i]);
      }
      throw_if_stopped(options_.stop);
    }
    const std::uint64_t wanted = share_of(options_.pruning.sparsity, total);
    divide(losses, wanted > decided ? wanted - decided : 0, result);
    return result;
  }

  static std::uint64_t share_of(double sparsity, std::size_t weights) {
    return static_cast<std::uint64_t>(std::llround(sparsity * static_cast<double>(weights)));
  }

  /// Those that a layer keeps in any case have no loss in the list.
  Losses losses_of(const FloatNode& node, LayerMoments moments, const std::vector<double>& importance) const {
    const Reconstruction reconstruction(std::move(moments), options_.damping);
    std::vector<double> weights(node.weights.begin(), node.weights.end());
    for (double& w : weights) w *= node.gain;
    weights = reconstruction.removal_losses(weights);
    const std::size_t row = weights.size() / importance.size();
    const double penalty = cost_penalty(node, options_.pruning);
    Losses result(weights.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = static_cast<float>(weights[i] * importance[i / row] / penalty);
    }
    const std::size_t kept = std::max<std::size_t>(1, result.size() / kLeastKept);
    std::ranges::nth_element(result, result.end() - static_cast<std::ptrdiff_t>(kept));
    result.resize(result.size() - kept);
    return result;
  }

  /// `count` of all losses go, the least ones; says how many that are of each node. Of equal ones the earlier
  /// node's go.
  static void divide(std::vector<Losses>& losses, std::uint64_t count, std::vector<std::uint64_t>& result) {
    Losses all;
    for (const Losses& part : losses) all.insert(all.end(), part.begin(), part.end());
    count = std::min<std::uint64_t>(count, all.size());
    if (count == 0) return;
    const auto last = all.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(all.begin(), last, all.end());
    const float threshold = *last;
    for (std::size_t i = 0; i < losses.size(); ++i) {
      if (losses[i].empty()) continue;
      result[i] = static_cast<std::uint64_t>(
          std::ranges::count_if(losses[i], [&](float loss) { return loss < threshold; }));
      count -= result[i];
    }
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const auto equal = static_cast<std::uint64_t>(std::ranges::count(losses[i], threshold));
      const std::uint64_t taken = std::min(count, equal);
      result[i] += taken;
      count -= taken;
    }
  }

  static constexpr std::size_t kLeastKept = 100;  // one in so many
  static constexpr int kAttempts = 4;

  Calibration calibration_;
  const PostTrainingOptions& options_;
  std::vector<std::uint64_t> removed_;            // per node
  std::vector<std::vector<std::uint8_t>> zeros_;  // per node: masks of what was zero from the beginning
  std::vector<std::vector<double>> importance_;   // per node: of its outputs; empty = alike
  std::unique_ptr<Reconstruction> reconstruction_;
};

}  // namespace

void compress_post_training(FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options,
                            std::vector<CutLayer>* cut) {
  SecondOrderRounder rounder(graph, pictures, options);
  quantise(graph, options.quantisation, &rounder, cut, rounder.ranges());
}

}  // namespace popcorn::compress
