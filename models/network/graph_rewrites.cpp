#include "models/network/graph_rewrites.h"

#include <algorithm>
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

/// A join whose operands are ReLUs, each read by it alone and once.
bool joins_relus(const IntegerNetwork& network, const std::vector<std::size_t>& readers, const Node& node) {
  return node.kind == NodeKind::concat && std::ranges::all_of(node.inputs, [&](std::size_t operand) {
           return network.nodes[operand].kind == NodeKind::relu && readers[operand] == 1;
         });
}

/// The join reads what its ReLUs read; the first of them (in the list) follows it, the others go.
void move_behind(IntegerNetwork& network, std::size_t join) {
  std::vector<std::size_t> relus = network.nodes[join].inputs;
  for (std::size_t& operand : network.nodes[join].inputs) {
    operand = network.nodes[operand].inputs.front();
  }
  std::ranges::sort(relus);
  std::vector<std::size_t> place(network.nodes.size());  // new place of what each node computes
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (std::ranges::binary_search(relus, i)) continue;
    Node node = std::move(network.nodes[i]);
    for (std::size_t& operand : node.inputs) operand = place[operand];
    nodes.push_back(std::move(node));
    place[i] = nodes.size() - 1;
    if (i != join) continue;
    Node relu = std::move(network.nodes[relus.front()]);
    relu.inputs = {place[join]};
    relu.shape = nodes.back().shape;
    relu.scale = nodes.back().scale;
    nodes.push_back(std::move(relu));
    place[join] = nodes.size() - 1;
  }
  network.nodes = std::move(nodes);
}

bool is_rectifying_rescale(const Node& node) {
  return node.kind == NodeKind::rescale && node.rectify;
}

/// A join as it is, of rescales each read by it alone and once.
bool joins_rescales(const IntegerNetwork& network, const std::vector<std::size_t>& readers,
                    const Node& node) {
  return node.kind == NodeKind::concat &&
         std::ranges::all_of(node.multipliers, [](std::int64_t factor) { return factor == 1; }) &&
         std::ranges::all_of(node.inputs, [&](std::size_t operand) {
           return is_rectifying_rescale(network.nodes[operand]) && readers[operand] == 1;
         });
}

/// The join reads what its rescales read, the pool the join, one rescale with the shifts of all the pool; it
/// takes the name of the first.
void join_rescales_behind(IntegerNetwork& network, std::size_t join, std::size_t pool) {
  const std::vector<std::size_t> rescales = network.nodes[join].inputs;
  Node joined = network.nodes[rescales.front()];
  joined.shifts.clear();
  for (const std::size_t index : rescales) {
    const Node& rescale = network.nodes[index];
    for (std::int64_t c = 0; c < rescale.shape.channels; ++c)
      joined.shifts.push_back(rescale.shift(static_cast<std::size_t>(c)));
  }
  joined.ring_bits = 0;
  joined.shape = network.nodes[pool].shape;
  joined.scale = network.nodes[pool].scale;
  std::vector<double> scales;  // of the channels before their rescales
  for (std::size_t& operand : network.nodes[join].inputs) {
    operand = network.nodes[operand].inputs.front();
    const Node& before = network.nodes[operand];
    for (std::size_t c = 0; c < static_cast<std::size_t>(before.shape.channels); ++c)
      scales.push_back(before.scale[before.scale.size() == 1 ? 0 : c]);
  }
  network.nodes[join].scale = network.nodes[pool].scale = scales;
  std::vector<std::size_t> place(network.nodes.size());  // new place of what each node computes
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (std::ranges::find(rescales, i) != rescales.end()) continue;
    Node node = std::move(network.nodes[i]);
    for (std::size_t& operand : node.inputs) operand = place[operand];
    nodes.push_back(std::move(node));
    place[i] = nodes.size() - 1;
    if (i != pool) continue;
    joined.inputs = {place[pool]};
    nodes.push_back(std::move(joined));
    place[pool] = nodes.size() - 1;
  }
  network.nodes = std::move(nodes);
}

bool is_never_negative(const Bounds& bounds) {
  for (std::size_t c = 0; c < bounds.low.size(); ++c) {
    if (bounds.low.is_negative(c)) return false;
  }
  return true;
}

/// Its readers read its operand.
void bypass(IntegerNetwork& network, std::size_t index) {
  const std::size_t operand = network.nodes[index].inputs.front();
  network.nodes.erase(network.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  for (Node& node : network.nodes) {
    for (std::size_t& input : node.inputs) {
      if (input == index) {
        input = operand;
      } else if (input > index) {
        --input;
      }
    }
  }
}

}  // namespace

std::size_t move_relus_behind_concat(IntegerNetwork& network) {
  std::size_t moved = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (!joins_relus(network, reader_counts(network), network.nodes[i])) continue;
    move_behind(network, i);
    ++moved;
    i = 0;  // a join of joins may have become possible, and the places have changed
  }
  if (moved > 0) network.finish();
  return moved;
}

bool move_max_pool_before_rescale(IntegerNetwork& network, std::size_t pool) {
  if (network.nodes.at(pool).kind != NodeKind::max_pool2d) return false;
  const std::size_t operand = network.nodes[pool].inputs.front();
  const std::vector<std::size_t> readers = reader_counts(network);
  if (readers[operand] != 1) return false;
  if (is_rectifying_rescale(network.nodes[operand])) {
    swap_relu_and_pool(network, operand, pool);
    network.nodes[operand].scale = network.nodes[network.nodes[operand].inputs.front()].scale;
  } else if (joins_rescales(network, readers, network.nodes[operand])) {
    join_rescales_behind(network, operand, pool);
  } else {
    return false;
  }
  network.finish();
  return true;
}

std::size_t drop_needless_relus(IntegerNetwork& network) {
  std::size_t dropped = 0;
  for (std::size_t i = network.nodes.size(); i-- > 0;) {
    const Node& node = network.nodes[i];
    if (node.kind != NodeKind::relu || !is_never_negative(network.nodes[node.inputs.front()].bounds))
      continue;
    bypass(network, i);
    ++dropped;
  }
  if (dropped > 0) network.finish();
  return dropped;
}

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
  std::size_t changes = 1;
  while (changes > 0) {
    changes = move_relus_behind_concat(network);
    changes += move_max_pool_before_relu(network);
    // Only then: a join of ReLUs of which one is missing is no such join any more.
    if (changes == 0) changes = drop_needless_relus(network);
  }
}

}  // namespace popcorn::models
