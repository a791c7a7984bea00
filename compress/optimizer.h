// The optimisers that train and fine-tune. Includes LibTorch.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "compress/torch_graph.h"

namespace popcorn::compress {

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019). Weights on an integer grid move in units of
/// the grid, where a step of the ordinary size would never cross to the next value: their rate is `grid_rate`
/// times larger.
class Optimizer {
 public:
  Optimizer(std::vector<TorchGraph::Parameter> parameters, double weight_decay, double grid_rate);

  /// Applies the gradients with this learning rate and clears them.
  void step(double learning_rate);

  /// Moments and step count, for checkpoints: the tensors are live.
  std::vector<at::Tensor> state() const;
  std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }

 private:
  std::vector<TorchGraph::Parameter> parameters_;
  std::vector<at::Tensor> first_, second_;
  double weight_decay_, grid_rate_;
  std::int64_t steps_ = 0;
};

}  // namespace popcorn::compress
