#include "compress/cost_budget.h"

#include <algorithm>

#include "base/error.h"
#include "compress/cost_model.h"
#include "compress/lowering.h"

namespace popcorn::compress {

namespace {

constexpr int kSteps = 1 << 12;

class Budget {
 public:
  Budget(const FloatGraph& graph, const QuantisationOptions& quantisation)
      : graph_(graph), quantised_(graph) {
    quantise(quantised_, quantisation);
    const models::IntegerNetwork network = lower(quantised_);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      if (!is_layer(network.nodes[i].name)) fixed_ += node_cost(network, i).multiplications;
    }
  }

  /// The most that the network can cost after this pruning: every kept weight counts, and in every row the
  /// largest magnitude that the grid permits.
  std::uint64_t most(PruningOptions pruning, int step) const {
    pruning.sparsity = static_cast<double>(step) / kSteps;
    FloatGraph pruned = graph_;
    prune(pruned, pruning);
    std::uint64_t sum = fixed_;
    for (std::size_t i = 0; i < pruned.nodes.size(); ++i) {
      const FloatNode& node = pruned.nodes[i];
      if (node.has_weights()) sum += layer(node, quantised_.nodes[i].grid.largest());
    }
    return sum;
  }

 private:
  bool is_layer(const std::string& name) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(),
                       [&](const FloatNode& node) { return node.has_weights() && node.name == name; });
  }

  static std::uint64_t layer(const FloatNode& node, std::int32_t largest) {
    const std::size_t rows = node.bias.size(), row = node.weights.size() / rows;
    std::uint64_t sum = 0;
    for (std::size_t o = 0; o < rows; ++o) {
      const auto begin = node.mask.begin() + static_cast<std::ptrdiff_t>(o * row);
      const auto kept = static_cast<std::uint64_t>(std::count_if(
          begin, begin + static_cast<std::ptrdiff_t>(row), [](std::uint8_t m) { return m != 0; }));
      if (kept > 0) sum += kept + static_cast<std::uint64_t>(largest) - 1;
    }
    return node.kind == FloatKind::conv2d
               ? sum * static_cast<std::uint64_t>(node.shape.height * node.shape.width)
               : sum;
  }

  const FloatGraph& graph_;
  FloatGraph quantised_;
  std::uint64_t fixed_ = 0;
};

}  // namespace

double sparsity_for_cost(const FloatGraph& graph, const PruningOptions& pruning,
                         const QuantisationOptions& quantisation, std::uint64_t multiplications) {
  const Budget budget(graph, quantisation);
  int enough = kSteps - 1, too_little = -1;
  if (const std::uint64_t least = budget.most(pruning, enough); least > multiplications) {
    throw UsageError("cost.target", std::to_string(multiplications) +
                                        " modular multiplications cannot be reached; the least is about " +
                                        std::to_string(least));
  }
  while (enough - too_little > 1) {
    const int middle = (enough + too_little) / 2;
    (budget.most(pruning, middle) <= multiplications ? enough : too_little) = middle;
  }
  return static_cast<double>(enough) / kSteps;
}

}  // namespace popcorn::compress
