#include "compress/training/optimizer.h"

#include <algorithm>
#include <cmath>

namespace popcorn::compress {

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
constexpr double kMomentum = 0.95;
/// The root mean square of Adam's steps, in learning rates (Liu et al. 2025, section 2.2).
constexpr double kAdamSize = 0.2;
constexpr int kNewtonSteps = 5;
/// Smaller matrices gain nothing from the way by the Gram matrix.
constexpr std::int64_t kLargeSide = 96;
/// Coefficients of the quintic iteration (Jordan et al. 2024).
constexpr double kLinear = 3.4445, kCubic = -4.7750, kQuintic = 2.0315;

/// a·bᵀ as a convolution: LibTorch's convolution is far faster than its matrix product where that has the
/// reference BLAS behind it, as in Debian.
at::Tensor times_transposed(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor product = at::conv2d(a.reshape({a.size(0), a.size(1), 1, 1}).contiguous(),
                                        b.reshape({b.size(0), b.size(1), 1, 1}).contiguous());
  return product.reshape({a.size(0), b.size(0)});
}

}  // namespace

at::Tensor orthogonalised(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.t().contiguous() : matrix;
  x = x / (x.norm() + kEpsilon);
  for (int step = 0; step < kNewtonSteps; ++step) {
    const at::Tensor gram = times_transposed(x, x);
    const at::Tensor factor = gram * kCubic + times_transposed(gram, gram) * kQuintic;  // symmetric
    x = x * kLinear + times_transposed(factor, x.t().contiguous());
  }
  return tall ? x.t().contiguous() : x;
}

at::Tensor orthogonalised_by_gram(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.t().contiguous() : matrix;
  x = (x / (x.norm() + kEpsilon)).to(at::kBFloat16);
  at::Tensor gram = times_transposed(x, x).to(at::kFloat);
  at::Tensor product = at::eye(gram.size(0));  // of the factors so far; all are symmetric and commute
  for (int step = 0; step < kNewtonSteps; ++step) {
    at::Tensor factor = gram * kCubic + times_transposed(gram, gram) * kQuintic;
    factor.diagonal().add_(kLinear);
    product = times_transposed(factor, product);
    if (step + 1 < kNewtonSteps) gram = times_transposed(times_transposed(factor, gram), factor);
  }
  x = times_transposed(product.to(at::kBFloat16), x.t().contiguous()).to(matrix.scalar_type());
  return tall ? x.t().contiguous() : x;
}

Optimizer::Optimizer(std::vector<TorchGraph::Parameter> parameters, double weight_decay, double grid_rate,
                     OptimizerKind kind, bool mixed_precision)
    : parameters_(std::move(parameters)),
      weight_decay_(weight_decay),
      grid_rate_(grid_rate),
      kind_(kind),
      mixed_precision_(mixed_precision) {
  for (const TorchGraph::Parameter& p : parameters_) {
    first_.push_back(at::zeros_like(p.tensor, at::TensorOptions().requires_grad(false)));
    second_.push_back(at::zeros_like(first_.back()));
  }
}

void Optimizer::step(double learning_rate) {
  const at::NoGradGuard guard;
  ++steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    TorchGraph::Parameter& p = parameters_[i];
    const at::Tensor gradient = p.tensor.grad();
    if (!gradient.defined()) continue;
    const double rate = learning_rate * (p.on_grid ? grid_rate_ : 1);
    const bool orthogonal = kind_ == OptimizerKind::muon && p.rows > 1;
    const at::Tensor direction = orthogonal ? orthogonal_step(i, gradient) : adam_step(i, gradient);
    if (p.decays) p.tensor.mul_(1 - rate * weight_decay_);
    p.tensor.add_(direction, -rate);
    gradient.zero_();
  }
}

at::Tensor Optimizer::adam_step(std::size_t i, const at::Tensor& gradient) {
  const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(steps_));
  const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(steps_));
  first_[i].mul_(kBeta1).add_(gradient, 1 - kBeta1);
  second_[i].mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const at::Tensor deviation = at::sqrt(second_[i]).div_(std::sqrt(correction2)).add_(kEpsilon);
  return at::div(first_[i], deviation).div_(correction1);
}

at::Tensor Optimizer::orthogonal_step(std::size_t i, const at::Tensor& gradient) {
  first_[i].mul_(kMomentum).add_(gradient);
  const at::Tensor ahead = gradient + first_[i] * kMomentum;  // Nesterov
  const at::Tensor matrix = ahead.reshape({parameters_[i].rows, -1});
  const auto longer = static_cast<double>(std::max(matrix.size(0), matrix.size(1)));
  const bool large = std::min(matrix.size(0), matrix.size(1)) >= kLargeSide;
  const at::Tensor step = mixed_precision_ && large ? orthogonalised_by_gram(matrix) : orthogonalised(matrix);
  return (step * (kAdamSize * std::sqrt(longer))).reshape(gradient.sizes());
}

std::vector<at::Tensor> Optimizer::state() const {
  std::vector<at::Tensor> all = first_;
  all.insert(all.end(), second_.begin(), second_.end());
  return all;
}

}  // namespace popcorn::compress
