#include "compress/optimizer.h"

#include <cmath>

namespace popcorn::compress {

namespace {
constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
}

Optimizer::Optimizer(std::vector<TorchGraph::Parameter> parameters, double weight_decay, double grid_rate)
    : parameters_(std::move(parameters)), weight_decay_(weight_decay), grid_rate_(grid_rate) {
  for (const TorchGraph::Parameter& p : parameters_) {
    first_.push_back(at::zeros_like(p.tensor, at::TensorOptions().requires_grad(false)));
    second_.push_back(at::zeros_like(first_.back()));
  }
}

void Optimizer::step(double learning_rate) {
  const at::NoGradGuard guard;
  ++steps_;
  const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(steps_));
  const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(steps_));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& p = parameters_[i].tensor;
    const at::Tensor gradient = p.grad();
    if (!gradient.defined()) continue;
    first_[i].mul_(kBeta1).add_(gradient, 1 - kBeta1);
    second_[i].mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
    const double rate = learning_rate * (parameters_[i].on_grid ? grid_rate_ : 1);
    if (parameters_[i].decays) p.mul_(1 - rate * weight_decay_);
    const at::Tensor deviation = at::sqrt(second_[i]).div_(std::sqrt(correction2)).add_(kEpsilon);
    p.addcdiv_(first_[i], deviation, -rate / correction1);
    gradient.zero_();
  }
}

std::vector<at::Tensor> Optimizer::state() const {
  std::vector<at::Tensor> all = first_;
  all.insert(all.end(), second_.begin(), second_.end());
  return all;
}

}  // namespace popcorn::compress
