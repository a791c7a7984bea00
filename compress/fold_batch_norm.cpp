#include "compress/fold_batch_norm.h"

#include <algorithm>
#include <cmath>

#include "compress/pruning/graph_surgery.h"

namespace popcorn::compress {

namespace {

constexpr float kSmallestFactor = 1e-12F;  // stands for 0: the constant decides

void turn_into_affine(FloatNode& node) {
  for (std::size_t c = 0; c < node.gamma.size(); ++c) {
    const double factor =
        static_cast<double>(node.gamma[c]) /
        std::sqrt(static_cast<double>(node.variance[c]) + static_cast<double>(node.epsilon));
    node.beta[c] =
        static_cast<float>(static_cast<double>(node.beta[c]) - factor * static_cast<double>(node.mean[c]));
    node.gamma[c] = static_cast<float>(factor);
  }
  node.kind = FloatKind::affine;
  node.mean.clear();
  node.variance.clear();
}

bool fold_into_producer(FloatGraph& graph, std::size_t index,
                        const std::vector<std::vector<std::size_t>>& readers) {
  const FloatNode& affine = graph.nodes[index];
  FloatNode& layer = graph.nodes[affine.inputs.front()];
  if (!layer.has_weights() || layer.grid.active() || readers[affine.inputs.front()].size() != 1) return false;
  const std::size_t row = layer.weights.size() / layer.bias.size();
  for (std::size_t o = 0; o < layer.bias.size(); ++o) {
    for (std::size_t i = o * row; i < (o + 1) * row; ++i) layer.weights[i] *= affine.gamma[o];
    layer.bias[o] = affine.gamma[o] * layer.bias[o] + affine.beta[o] / static_cast<float>(layer.gain);
  }
  bypass(graph, index);
  return true;
}

/// A threshold: only the sign of the layer's output counts, so its bias can absorb the map and its weights
/// keep their grid.
bool fold_into_threshold(FloatGraph& graph, std::size_t index,
                         const std::vector<std::vector<std::size_t>>& readers) {
  const FloatNode& affine = graph.nodes[index];
  FloatNode& layer = graph.nodes[affine.inputs.front()];
  if (!layer.has_weights() || !layer.grid.active() || readers[affine.inputs.front()].size() != 1)
    return false;
  if (readers[index].size() != 1 || graph.nodes[readers[index].front()].kind != FloatKind::sign) return false;
  const std::size_t row = layer.weights.size() / layer.bias.size();
  for (std::size_t o = 0; o < layer.bias.size(); ++o) {
    const float a = affine.gamma[o] == 0 ? kSmallestFactor : affine.gamma[o];
    if (a < 0) {
      for (std::size_t i = o * row; i < (o + 1) * row; ++i) layer.weights[i] = -layer.effective_weight(i);
      layer.bias[o] = -layer.bias[o];
    }
    layer.bias[o] += affine.beta[o] / std::abs(a) / static_cast<float>(layer.gain);
  }
  bypass(graph, index);
  return true;
}

/// x = (p/255 − m)/d, so a·x + b = (p/255 − (m − b·d/a))/(d/a).
bool fold_into_input(FloatGraph& graph, std::size_t index,
                     const std::vector<std::vector<std::size_t>>& readers) {
  const FloatNode& affine = graph.nodes[index];
  const bool positive = std::all_of(affine.gamma.begin(), affine.gamma.end(), [](float g) { return g > 0; });
  if (affine.inputs.front() != 0 || readers[0].size() != 1 || !positive) return false;
  for (std::size_t c = 0; c < affine.gamma.size(); ++c) {
    const auto a = static_cast<double>(affine.gamma[c]), b = static_cast<double>(affine.beta[c]);
    graph.mean[c] -= b * graph.deviation[c] / a;
    graph.deviation[c] /= a;
  }
  bypass(graph, index);
  return true;
}

/// Swaps an affine map with the flatten that reads it, repeating its values for every pixel of a channel.
bool move_behind_flatten(FloatGraph& graph, std::size_t index,
                         const std::vector<std::vector<std::size_t>>& readers) {
  if (readers[index].size() != 1) return false;
  const std::size_t next = readers[index].front();
  FloatNode& affine = graph.nodes[index];
  FloatNode& flatten = graph.nodes[next];
  if (flatten.kind != FloatKind::flatten || next != index + 1) return false;
  const auto pixels = static_cast<std::size_t>(affine.shape.height * affine.shape.width);
  const auto repeat = [&](std::vector<float>& values) {
    std::vector<float> spread;
    for (const float v : values) spread.insert(spread.end(), pixels, v);
    values = std::move(spread);
  };
  repeat(affine.gamma);
  repeat(affine.beta);
  affine.shape = flatten.shape;
  flatten.inputs = affine.inputs;
  affine.inputs = {index};
  std::swap(affine, flatten);  // by position; readers of the flatten's position now read the affine map
  return true;
}

bool fold_into_reader(FloatGraph& graph, std::size_t index,
                      const std::vector<std::vector<std::size_t>>& readers) {
  if (readers[index].size() != 1) return false;
  const FloatNode& affine = graph.nodes[index];
  FloatNode& layer = graph.nodes[readers[index].front()];
  if (!layer.has_weights() || layer.grid.active()) return false;
  const models::Window& w = layer.window;
  const bool padded =
      layer.kind == FloatKind::conv2d && w.pad_top + w.pad_bottom + w.pad_left + w.pad_right > 0;
  const bool shifts = std::any_of(affine.beta.begin(), affine.beta.end(), [](float b) { return b != 0; });
  if (padded && shifts) return false;
  const std::size_t outputs = layer.bias.size(), row = layer.weights.size() / outputs;
  const std::size_t kernel =
      layer.kind == FloatKind::conv2d ? static_cast<std::size_t>(w.kernel_height * w.kernel_width) : 1;
  const std::size_t channels = row / kernel, per_group = outputs / static_cast<std::size_t>(layer.groups);
  for (std::size_t o = 0; o < outputs; ++o) {
    double shift = 0;
    for (std::size_t i = 0; i < row; ++i) {
      const std::size_t c = (o / per_group) * channels + i / kernel;
      float& weight = layer.weights[o * row + i];
      shift += static_cast<double>(weight) * static_cast<double>(affine.beta[c]);
      weight *= affine.gamma[c];
    }
    layer.bias[o] += static_cast<float>(shift);
  }
  bypass(graph, index);
  return true;
}

/// Whether layers on grids make the node's operand, with nothing but sums, joins and average pools between.
/// One pass over the nodes before it: sums of sums would have exponentially many paths.
bool behind_grid(const FloatGraph& graph, std::size_t index) {
  std::vector<bool> made(index);
  const auto all_made = [&](const FloatNode& node) {
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](std::size_t k) { return made[k]; });
  };
  for (std::size_t i = 1; i < index; ++i) {
    const FloatNode& node = graph.nodes[i];
    const bool passes = node.kind == FloatKind::average_pool2d || node.kind == FloatKind::add ||
                        node.kind == FloatKind::concat;
    made[i] = passes ? all_made(node) : node.grid.active();
  }
  return all_made(graph.nodes[index]);
}

/// a·x + b ≥ 0 ⟺ sgn(a)·x + b/|a| ≥ 0: behind sums of layers on grids the map becomes a convolution of ±1 of
/// each channel alone, which is exact after the lowering.
void turn_into_threshold(FloatGraph& graph, std::size_t index,
                         const std::vector<std::vector<std::size_t>>& readers) {
  FloatNode& affine = graph.nodes[index];
  if (readers[index].size() != 1 || graph.nodes[readers[index].front()].kind != FloatKind::sign ||
      !behind_grid(graph, index)) {
    return;
  }
  for (std::size_t c = 0; c < affine.gamma.size(); ++c) {
    const float a = affine.gamma[c] == 0 ? kSmallestFactor : affine.gamma[c];
    affine.gamma[c] = a < 0 ? -1.0F : 1.0F;
    affine.beta[c] /= std::abs(a);
  }
  affine.grid.codebook = {-1, 1};
}

void turn_into_convolution(FloatNode& node) {
  node.kind = FloatKind::conv2d;
  node.groups = static_cast<std::int64_t>(node.gamma.size());
  node.window = {};
  node.weights = std::move(node.gamma);
  node.bias = std::move(node.beta);
  node.gamma.clear();
  node.beta.clear();
}

/// Folds one affine node somewhere. Returns whether there was one.
bool fold_one(FloatGraph& graph) {
  const auto readers = graph.readers();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].kind != FloatKind::affine) continue;
    if (fold_into_producer(graph, i, readers) || fold_into_threshold(graph, i, readers) ||
        fold_into_input(graph, i, readers) || move_behind_flatten(graph, i, readers) ||
        fold_into_reader(graph, i, readers)) {
      return true;
    }
    turn_into_threshold(graph, i, readers);
    turn_into_convolution(graph.nodes[i]);
    return true;
  }
  return false;
}

}  // namespace

void fold_batch_norm(FloatGraph& graph) {
  for (FloatNode& node : graph.nodes) {
    if (node.kind == FloatKind::batch_norm) turn_into_affine(node);
  }
  while (fold_one(graph)) {
  }
  graph.finish();
}

}  // namespace popcorn::compress
