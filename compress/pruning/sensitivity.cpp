#include "compress/pruning/sensitivity.h"

#include <algorithm>
#include <random>
#include <utility>

#include "compress/executor.h"
#include "compress/interruption.h"
#include "compress/training/torch_graph.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kBatch = 16;  // all tensors of a batch are held for the way back
constexpr double kSure = 0.9, kHottest = 0x1p40;
constexpr int kBisections = 20;

/// One class for each row of logits, drawn from their softmax.
at::Tensor draw(const at::Tensor& log_p, std::mt19937_64& random) {
  const at::Tensor p = log_p.detach().exp().contiguous();
  at::Tensor classes = at::empty({p.size(0)}, at::kLong);
  for (std::int64_t row = 0; row < p.size(0); ++row) {
    const float* const values = p.data_ptr<float>() + row * p.size(1);
    double rest = static_cast<double>(random() >> 11) * 0x1p-53;
    std::int64_t k = 0;
    for (; k + 1 < p.size(1); ++k) {
      rest -= static_cast<double>(values[k]);
      if (rest < 0) break;
    }
    classes.data_ptr<std::int64_t>()[row] = k;
  }
  return classes;
}

/// Mean over rows of the likeliest class's probability when logits are divided by the temperature.
double confidence(const at::Tensor& logits, double temperature) {
  return std::get<0>(at::softmax(logits / temperature, 1).max(1)).mean().item<double>();
}

/// The least temperature, from 1, at which the network is not surer of its classes than kSure: one that is
/// sure of all of them has next to no gradients, and what is left of them says little.
double softening(const at::Tensor& logits) {
  if (confidence(logits, 1) <= kSure) return 1;
  double low = 1, high = 2;
  while (high < kHottest && confidence(logits, high) > kSure) low = std::exchange(high, 2 * high);
  for (int step = 0; step < kBisections; ++step) {
    const double middle = (low + high) / 2;
    (confidence(logits, middle) > kSure ? low : high) = middle;
  }
  return high;
}

std::size_t last_layer(const FloatGraph& graph) {
  std::size_t last = graph.nodes.size() - 1;
  while (last > 0 && !graph.nodes[last].has_weights()) --last;
  return last;
}

void average(std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  for (double& v : values) v = sum / static_cast<double>(values.size());
}

}  // namespace

std::vector<std::vector<double>> output_sensitivities(const FloatGraph& graph, const Dataset& pictures,
                                                      const std::atomic<bool>* stop) {
  TorchGraph torch(graph, TorchGraph::Mode::inference);  // no gradients of the weights are wanted
  std::vector<std::vector<double>> result(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) result[i].assign(graph.nodes[i].bias.size(), 0);
  std::mt19937_64 random(1);
  const at::Tensor all = to_tensor(logits(graph, pictures, stop), at::kFloat);
  const double temperature = softening(all.reshape({static_cast<std::int64_t>(pictures.count()), -1}));
  for (std::size_t at = 0; at < pictures.count(); at += kBatch) {
    throw_if_stopped(stop);
    at::Tensor x = input_batch(graph, pictures, at, std::min(kBatch, pictures.count() - at));
    x.set_requires_grad(true);
    const std::vector<at::Tensor> values = torch.forward_all(x);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (graph.nodes[i].has_weights()) values[i].retain_grad();
    }
    const at::Tensor log_p = at::log_softmax(values.back().flatten(1) / temperature, 1);
    const at::Tensor loss = at::nll_loss(log_p, draw(log_p, random), {}, at::Reduction::Sum);
    loss.backward();
    const at::NoGradGuard guard;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!graph.nodes[i].has_weights() || !values[i].grad().defined()) continue;
      const at::Tensor sums = values[i].grad().square().sum({0, 2, 3}, false, at::kDouble);
      for (std::size_t o = 0; o < result[i].size(); ++o) result[i][o] += sums.data_ptr<double>()[o];
    }
  }
  for (std::vector<double>& node : result) {
    for (double& value : node) value /= static_cast<double>(pictures.count());
  }
  average(result[last_layer(graph)]);
  return result;
}

}  // namespace popcorn::compress
