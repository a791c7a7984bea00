#include "compress/pruning/graph_surgery.h"

#include <limits>

namespace popcorn::compress {

namespace {

constexpr std::size_t kRemoved = std::numeric_limits<std::size_t>::max();

void compact(FloatGraph& graph, const std::vector<std::uint8_t>& kept) {
  std::vector<std::size_t> moved(graph.nodes.size(), kRemoved);
  std::vector<FloatNode> nodes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (kept[i] == 0) continue;
    moved[i] = nodes.size();
    for (std::size_t& input : graph.nodes[i].inputs) input = moved[input];
    nodes.push_back(std::move(graph.nodes[i]));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

void keep_ancestors(FloatGraph& graph, std::size_t output) {
  std::vector<std::uint8_t> kept(graph.nodes.size(), 0);
  kept[0] = kept[output] = 1;
  for (std::size_t i = output + 1; i-- > 0;) {
    if (kept[i] == 0) continue;
    for (const std::size_t input : graph.nodes[i].inputs) kept[input] = 1;
  }
  compact(graph, kept);
}

void bypass(FloatGraph& graph, std::size_t index) {
  const std::size_t operand = graph.nodes[index].inputs.front();
  for (FloatNode& node : graph.nodes) {
    for (std::size_t& input : node.inputs) {
      if (input == index) input = operand;
    }
  }
  std::vector<std::uint8_t> kept(graph.nodes.size(), 1);
  kept[index] = 0;
  compact(graph, kept);
}

}  // namespace popcorn::compress
