#include "compress/pruning/pruning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "compress/pruning/layer_pattern.h"

namespace popcorn::compress {

namespace {

/// Positions at which each weight of a layer is used: multiplications per weight and inference.
double positions(const FloatNode& node) {
  return node.kind == FloatKind::conv2d ? static_cast<double>(node.shape.height * node.shape.width) : 1;
}

struct Candidate {
  double score;
  std::uint32_t layer;
  std::uint32_t weight;
};

std::vector<double> layer_scores(const FloatNode& node, const PruningOptions& options) {
  std::vector<double> scores(node.weights.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = std::abs(static_cast<double>(node.weights[i]));
  if (options.scope == PruningScope::adaptive) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    double sum = 0;
    std::vector<double> adaptive(scores.size());
    for (const std::uint32_t i : order) {
      sum += scores[i] * scores[i];
      adaptive[i] = sum > 0 ? scores[i] * scores[i] / sum : 0;
    }
    scores = std::move(adaptive);
  }
  const double penalty = cost_penalty(node, options);
  for (double& score : scores) score /= penalty;
  return scores;
}

/// Masks out the `count` weights with the smallest scores among these layers.
void prune_smallest(FloatGraph& graph, const std::vector<std::size_t>& layers, const PruningOptions& options,
                    std::uint64_t count) {
  std::vector<Candidate> candidates;
  for (const std::size_t layer : layers) {
    FloatNode& node = graph.nodes[layer];
    node.mask.assign(node.weights.size(), 1);
    const std::vector<double> scores = layer_scores(node, options);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      candidates.push_back({scores[i], static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i)});
    }
  }
  count = std::min<std::uint64_t>(count, candidates.size());
  const auto smaller = [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score < b.score;
    return a.layer != b.layer ? a.layer > b.layer
                              : a.weight > b.weight;  // of equal ones the later goes first
  };
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                   candidates.end(), smaller);
  for (std::size_t k = 0; k < count; ++k) graph.nodes[candidates[k].layer].mask[candidates[k].weight] = 0;
}

std::uint64_t share(double sparsity, std::uint64_t weights) {
  return static_cast<std::uint64_t>(std::llround(sparsity * static_cast<double>(weights)));
}

}  // namespace

void check_pruning(const FloatGraph& graph, const PruningOptions& options) {
  const auto check_share = [](double share, const std::string& what) {
    if (!(share >= 0 && share < 1))
      throw UsageError("pruning.sparsity", what + " must be at least 0 and below 1");
  };
  check_share(options.sparsity, "the sparsity");
  for (const LayerSparsity& layer : options.layers) {
    check_share(layer.sparsity, "the sparsity of \"" + layer.pattern + "\"");
    require_match(graph, layer.pattern);
  }
}

const LayerSparsity* own_sparsity(const FloatNode& node, const PruningOptions& options) {
  const auto own = std::ranges::find_if(
      options.layers, [&](const LayerSparsity& layer) { return matches(layer.pattern, node.name); });
  return own == options.layers.end() ? nullptr : &*own;
}

double cost_penalty(const FloatNode& node, const PruningOptions& options) {
  return std::pow(positions(node), options.cost_exponent);
}

double gradual_sparsity(double final_sparsity, double done) {
  const double left = 1 - std::clamp(done, 0.0, 1.0);
  return final_sparsity * (1 - left * left * left);
}

void prune(FloatGraph& graph, const PruningOptions& options, double fraction) {
  check_pruning(graph, options);
  if (options.scope == PruningScope::sensitivity) {
    throw UsageError("pruning.scope", "the scope \"sensitivity\" is for post-training compression only");
  }
  std::vector<std::size_t> together;
  std::uint64_t total = 0, decided = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    FloatNode& node = graph.nodes[i];
    if (!node.has_weights()) continue;
    total += node.weights.size();
    const LayerSparsity* const own = own_sparsity(node, options);
    if (own != nullptr || options.scope == PruningScope::layer) {
      const double sparsity = own != nullptr ? own->sparsity : options.sparsity;
      const std::uint64_t count = share(sparsity * fraction, node.weights.size());
      prune_smallest(graph, {i}, options, count);
      decided += count;
    } else {
      together.push_back(i);
    }
  }
  if (together.empty()) return;
  const std::uint64_t wanted = share(options.sparsity * fraction, total);
  prune_smallest(graph, together, options, wanted > decided ? wanted - decided : 0);
}

}  // namespace popcorn::compress
