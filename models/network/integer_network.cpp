#include "models/network/integer_network.h"

#include <algorithm>
#include <bit>
#include <set>

namespace popcorn::models {

namespace {

constexpr std::array<std::string_view, 12> kKindNames = {"input",      "dense",   "conv2d",  "sum_pool2d",
                                                         "max_pool2d", "relu",    "sign",    "add",
                                                         "concat",     "flatten", "rescale", "output"};

}  // namespace

std::string_view to_string(NodeKind kind) {
  return kKindNames.at(static_cast<std::size_t>(kind));
}

std::string Shape::to_string() const {
  if (height == 1 && width == 1) return std::to_string(channels);
  return std::to_string(channels) + "x" + std::to_string(height) + "x" + std::to_string(width);
}

std::uint64_t Node::nonzeros() const {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(weights, [](std::int32_t weight) { return weight != 0; }));
}

double Node::density() const {
  return weights.empty() ? 1.0 : static_cast<double>(nonzeros()) / static_cast<double>(weights.size());
}

std::vector<std::int32_t> Node::magnitudes() const {
  std::set<std::int32_t> found;
  for (const std::int32_t weight : weights) {
    if (weight != 0) found.insert(weight < 0 ? -weight : weight);
  }
  return {found.begin(), found.end()};
}

unsigned Node::weight_bits() const {
  if (weights.empty()) return 0;
  std::uint32_t largest = 0;
  for (const std::int32_t weight : weights) {
    largest = std::max(largest, static_cast<std::uint32_t>(weight < 0 ? -weight : weight));
  }
  return static_cast<unsigned>(std::bit_width(largest)) + 1;
}

std::optional<std::size_t> IntegerNetwork::find(std::string_view node_name) const {
  const auto found = std::ranges::find(nodes, node_name, &Node::name);
  if (found == nodes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - nodes.begin());
}

std::uint64_t IntegerNetwork::weights() const {
  std::uint64_t count = 0;
  for (const Node& node : nodes) count += node.weights.size();
  return count;
}

std::uint64_t IntegerNetwork::nonzeros() const {
  std::uint64_t count = 0;
  for (const Node& node : nodes) count += node.nonzeros();
  return count;
}

bool IntegerNetwork::is_requantised() const {
  return std::ranges::any_of(
      nodes, [](const Node& node) { return node.kind == NodeKind::rescale || node.ring_bits != 0; });
}

}  // namespace popcorn::models
