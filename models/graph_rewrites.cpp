#include "models/graph_rewrites.h"

#include <optional>
#include <utility>

namespace popcorn::models {

namespace {

std::vector<std::size_t> reader_counts(const IntegerNetwork& network) {
  std::vector<std::size_t> counts(network.nodes.size(), 0);
  for (const Node& node : network.nodes) {
    for (const std::size_t operand : node.inputs) ++counts[operand];
  }
  return counts;
}

/// The ReLU that the max-pool nodes[index] can take its place from, if that saves evaluations or costs none.
std::optional<std::size_t> movable_relu(const IntegerNetwork& network,
                                        const std::vector<std::size_t>& readers, std::size_t index) {
  const Node& pool = network.nodes[index];
  if (pool.kind != NodeKind::max_pool2d) return std::nullopt;
  const std::size_t operand = pool.inputs.front();
  const Node& relu = network.nodes[operand];
  const bool moves =
      relu.kind == NodeKind::relu && readers[operand] == 1 && pool.shape.size() <= relu.shape.size();
  return moves ? std::optional(operand) : std::nullopt;
}

/// The two nodes change places, so the list stays in topological order: the pool takes the ReLU's place and
/// its operand, the ReLU the pool's place and thereby its readers.
void swap_relu_and_pool(IntegerNetwork& network, std::size_t relu, std::size_t pool) {
  std::vector<std::size_t> operand = network.nodes[relu].inputs;
  std::swap(network.nodes[relu], network.nodes[pool]);
  Node& pool_node = network.nodes[relu];
  Node& relu_node = network.nodes[pool];
  pool_node.inputs = std::move(operand);
  relu_node.inputs = {relu};
  relu_node.shape = pool_node.shape;
  relu_node.scale = pool_node.scale;
}

}  // namespace

std::size_t move_max_pool_before_relu(IntegerNetwork& network) {
  // By place in the node list; a move changes no place's number of readers.
  const std::vector<std::size_t> readers = reader_counts(network);
  std::size_t moved = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const std::optional<std::size_t> relu = movable_relu(network, readers, i);
      if (!relu) continue;
      swap_relu_and_pool(network, *relu, i);
      ++moved;
      changed = true;
    }
  }
  if (moved > 0) network.finish();
  return moved;
}

void optimise(IntegerNetwork& network) {
  move_max_pool_before_relu(network);
}

}  // namespace popcorn::models
