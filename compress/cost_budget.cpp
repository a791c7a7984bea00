#include "compress/cost_budget.h"

#include <algorithm>

#include "base/error.h"
#include "compress/cost_model.h"
#include "compress/lowering.h"

namespace popcorn::compress {

namespace {

constexpr int kSteps = 1 << 12;
constexpr int kPlannedSteps = kSteps >> 5;  // planning a network takes seconds

class Budget {
 public:
  Budget(const FloatGraph& graph, const PruningOptions& pruning, const QuantisationOptions& quantisation)
      : graph_(graph), pruning_(pruning), quantisation_(quantisation), quantised_(graph) {
    quantise(quantised_, quantisation);
    const models::IntegerNetwork network = lower(quantised_);
    const NetworkCost cost = network_cost(network);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      if (!is_layer(network.nodes[i].name)) fixed_ += cost.nodes[i].multiplications;
    }
  }

  /// The most that the network can cost after this pruning: every kept weight counts, and in every row the
  /// largest magnitude that the grid permits.
  std::uint64_t most(int step) const {
    const FloatGraph pruned = pruned_graph(step);
    std::uint64_t sum = fixed_;
    for (std::size_t i = 0; i < pruned.nodes.size(); ++i) {
      if (pruned.nodes[i].has_weights()) sum += layer(i, pruned);
    }
    return sum;
  }

  /// Likewise, but where the weights as they are now let rows of a layer share products, what that plan
  /// costs.
  std::uint64_t planned(int step) const {
    const FloatGraph pruned = pruned_graph(step);
    FloatGraph compressed = pruned;
    quantise(compressed, quantisation_);
    const models::IntegerNetwork network = lower(compressed);
    std::uint64_t sum = fixed_;
    for (std::size_t i = 0; i < pruned.nodes.size(); ++i) {
      if (!pruned.nodes[i].has_weights()) continue;
      std::uint64_t cost = layer(i, pruned);
      if (const auto node = network.find(pruned.nodes[i].name)) {
        const LayerPlan plan = layer_plan(network, *node);
        if (plan.shares_tables) cost = std::min(cost, plan.multiplications);
      }
      sum += cost;
    }
    return sum;
  }

 private:
  FloatGraph pruned_graph(int step) const {
    PruningOptions pruning = pruning_;
    pruning.sparsity = static_cast<double>(step) / kSteps;
    FloatGraph pruned = graph_;
    prune(pruned, pruning);
    return pruned;
  }

  bool is_layer(const std::string& name) const {
    return std::any_of(graph_.nodes.begin(), graph_.nodes.end(),
                       [&](const FloatNode& node) { return node.has_weights() && node.name == name; });
  }

  /// One multiplication for each kept weight, one for each unit of the largest magnitude and one for the
  /// bias, at every position; the biases' encryptions, and the inversion of every input.
  std::uint64_t layer(std::size_t index, const FloatGraph& pruned) const {
    const FloatNode& node = pruned.nodes[index];
    const std::int32_t largest = quantised_.nodes[index].grid.largest();
    const std::size_t rows = node.bias.size(), row = node.weights.size() / rows;
    std::uint64_t sum = 0;
    for (std::size_t o = 0; o < rows; ++o) {
      const auto begin = node.mask.begin() + static_cast<std::ptrdiff_t>(o * row);
      const auto kept = static_cast<std::uint64_t>(std::count_if(
          begin, begin + static_cast<std::ptrdiff_t>(row), [](std::uint8_t m) { return m != 0; }));
      if (kept > 0) sum += kept + static_cast<std::uint64_t>(largest);
    }
    if (node.kind == FloatKind::conv2d)
      sum *= static_cast<std::uint64_t>(node.shape.height * node.shape.width);
    const auto inputs = static_cast<std::uint64_t>(graph_.nodes[node.inputs.front()].shape.size());
    return sum + rows + 3 * inputs;
  }

  const FloatGraph& graph_;
  const PruningOptions& pruning_;
  const QuantisationOptions& quantisation_;
  FloatGraph quantised_;
  std::uint64_t fixed_ = 0;
};

/// The smallest multiple of `every` up to `enough` whose cost fits, where the cost of `enough` does.
template <typename CostOf>
int smallest_step(int enough, int every, std::uint64_t multiplications, const CostOf& cost) {
  int too_little = -1;
  while (enough - too_little > every) {
    const int middle = std::max(0, (enough + too_little) / 2 / every * every);
    if (middle <= too_little || middle >= enough) break;
    (cost(middle) <= multiplications ? enough : too_little) = middle;
  }
  return enough;
}

}  // namespace

double sparsity_for_cost(const FloatGraph& graph, const PruningOptions& pruning,
                         const QuantisationOptions& quantisation, std::uint64_t multiplications) {
  const Budget budget(graph, pruning, quantisation);
  const auto most = [&](int step) { return budget.most(step); };
  const auto planned = [&](int step) { return budget.planned(step); };
  const std::uint64_t least = std::min(most(kSteps - 1), planned(kSteps - 1));
  if (least > multiplications) {
    throw UsageError("cost.target", std::to_string(multiplications) +
                                        " modular multiplications cannot be reached; the least is about " +
                                        std::to_string(least));
  }
  // Pruning can end the sharing of products: a little of it may cost more than none.
  if (planned(0) <= multiplications) return 0;
  const int safe =
      most(kSteps - 1) <= multiplications ? smallest_step(kSteps - 1, 1, multiplications, most) : kSteps - 1;
  return static_cast<double>(smallest_step(safe, kPlannedSteps, multiplications, planned)) / kSteps;
}

}  // namespace popcorn::compress
