// The optimisers that train and fine-tune. Includes LibTorch.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "compress/training/optimizer_kind.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

/// Weights on an integer grid move in units of the grid, where a step of the ordinary size would never cross
/// to the next value: they take Adam's steps with a rate that is `grid_rate` times larger.
class Optimizer {
 public:
  /// @param mixed_precision large matrices are made orthogonal with products in bfloat16
  Optimizer(std::vector<TorchGraph::Parameter> parameters, double weight_decay, double grid_rate,
            OptimizerKind kind = OptimizerKind::adam, bool mixed_precision = false);

  /// Applies the gradients with this learning rate and clears them.
  void step(double learning_rate);

  /// Moments and step count, for checkpoints: the tensors are live.
  std::vector<at::Tensor> state() const;
  std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }

 private:
  at::Tensor adam_step(std::size_t i, const at::Tensor& gradient);
  at::Tensor orthogonal_step(std::size_t i, const at::Tensor& gradient);

  std::vector<TorchGraph::Parameter> parameters_;
  std::vector<at::Tensor> first_, second_;
  double weight_decay_, grid_rate_;
  OptimizerKind kind_;
  bool mixed_precision_;
  std::int64_t steps_ = 0;
};

/// A matrix with (nearly) the singular vectors of `matrix` and singular values near 1 (0.7 to 1.2): five
/// steps of the quintic iteration of Jordan et al. 2024. Two dimensions.
at::Tensor orthogonalised(const at::Tensor& matrix);

/// Nearly the same with two products of the size of the matrix in place of ten, both in bfloat16: every step
/// multiplies by a polynomial of the Gram matrix x·xᵀ, so all of them are made there, in single precision.
at::Tensor orthogonalised_by_gram(const at::Tensor& matrix);

}  // namespace popcorn::compress
