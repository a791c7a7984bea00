#include "compress/post_training.h"

#include <algorithm>
#include <memory>

#include "compress/calibration.h"
#include "compress/reconstruction.h"

namespace popcorn::compress {

namespace {

/// Masks out what is zero in the network as it came: somebody pruned it already.
std::vector<std::uint8_t> zeros_of(const FloatNode& node) {
  std::vector<std::uint8_t> mask;
  for (const float w : node.weights) mask.push_back(w == 0 ? 0 : 1);
  return mask;
}

class SecondOrderRounder : public LayerRounder {
 public:
  SecondOrderRounder(const FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options)
      : calibration_(graph, pictures), options_(options) {
    FloatGraph pruned = graph;
    prune(pruned, options.pruning);
    for (const FloatNode& node : pruned.nodes) {
      zeros_.push_back(zeros_of(node));
      const auto zeros = static_cast<std::uint64_t>(std::ranges::count(zeros_.back(), 0));
      removed_.push_back(std::max(zeros, node.weights.size() - node.kept()));
    }
  }

  void prepare(const FloatGraph& graph, std::size_t layer, std::vector<double>& weights,
               std::vector<std::uint8_t>& mask) override {
    reconstruction_ = std::make_unique<Reconstruction>(calibration_.moments(graph, layer), options_.damping);
    if (mask.empty()) mask = zeros_[layer];
    reconstruction_->adapt(weights);
    reconstruction_->prune(weights, mask, removed_[layer]);
  }

  void round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
             const std::vector<double>& steps, const WeightGrid& grid) override {
    reconstruction_->round(weights, mask, [&](std::size_t output, double value) {
      return steps[output] * grid.nearest(static_cast<float>(value / steps[output]));
    });
  }

  std::vector<double> biases(const std::vector<double>& weights) override {
    return reconstruction_->biases(weights);
  }

 private:
  Calibration calibration_;
  const PostTrainingOptions& options_;
  std::vector<std::uint64_t> removed_;            // per node
  std::vector<std::vector<std::uint8_t>> zeros_;  // per node: masks of what was zero from the beginning
  std::unique_ptr<Reconstruction> reconstruction_;
};

}  // namespace

void compress_post_training(FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options) {
  SecondOrderRounder rounder(graph, pictures, options);
  quantise(graph, options.quantisation, &rounder);
}

}  // namespace popcorn::compress
