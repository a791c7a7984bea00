#include "compress/post_training.h"

#include <algorithm>
#include <memory>

#include "compress/calibration.h"
#include "compress/reconstruction.h"

namespace popcorn::compress {

namespace {

class SecondOrderRounder : public LayerRounder {
 public:
  SecondOrderRounder(const FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options)
      : calibration_(graph, pictures), options_(options) {
    FloatGraph pruned = graph;
    prune(pruned, options.pruning);
    for (const FloatNode& node : pruned.nodes) removed_.push_back(node.weights.size() - node.kept());
  }

  void prepare(const FloatGraph& graph, std::size_t layer, std::vector<double>& weights,
               std::vector<std::uint8_t>& mask) override {
    reconstruction_ = std::make_unique<Reconstruction>(calibration_.moments(graph, layer), options_.damping);
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
  std::vector<std::uint64_t> removed_;  // per node
  std::unique_ptr<Reconstruction> reconstruction_;
};

}  // namespace

void compress_post_training(FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options) {
  SecondOrderRounder rounder(graph, pictures, options);
  quantise(graph, options.quantisation, &rounder);
}

}  // namespace popcorn::compress
