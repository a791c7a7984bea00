#include "compress/zoo_graph.h"

#include <cmath>
#include <random>

#include "base/error.h"

namespace popcorn::compress {

namespace {

using Kind = models::ZooLayer::Kind;

FloatKind float_kind(Kind kind) {
  switch (kind) {
    case Kind::conv2d:
      return FloatKind::conv2d;
    case Kind::dense:
      return FloatKind::dense;
    case Kind::max_pool2d:
      return FloatKind::max_pool2d;
    case Kind::average_pool2d:
      return FloatKind::average_pool2d;
    case Kind::relu:
      return FloatKind::relu;
    case Kind::sign:
      return FloatKind::sign;
    case Kind::flatten:
      return FloatKind::flatten;
    case Kind::batch_norm:
      return FloatKind::batch_norm;
    case Kind::add:
      return FloatKind::add;
    case Kind::concat:
      return FloatKind::concat;
  }
  return FloatKind::relu;
}

void initialise(FloatNode& node, std::int64_t inputs, std::mt19937_64& random) {
  const double range = std::sqrt(6.0 / static_cast<double>(inputs));
  for (float& w : node.weights) {
    w = static_cast<float>(range * (static_cast<double>(random() >> 11) * 0x1p-52 - 1));
  }
}

void add_parameters(FloatNode& node, const models::ZooLayer& layer, const models::Shape& input,
                    std::mt19937_64& random) {
  if (node.kind == FloatKind::batch_norm) {
    const auto channels = static_cast<std::size_t>(input.channels);
    node.gamma.assign(channels, 1);
    node.beta.assign(channels, 0);
    node.mean.assign(channels, 0);
    node.variance.assign(channels, 1);
  }
  if (!node.has_weights()) return;
  const std::int64_t kernel =
      node.kind == FloatKind::conv2d ? layer.window.kernel_height * layer.window.kernel_width : 1;
  node.bias.assign(static_cast<std::size_t>(layer.outputs), 0);
  node.groups = layer.groups;
  const std::int64_t inputs = input.channels / layer.groups * kernel;
  node.weights.resize(static_cast<std::size_t>(layer.outputs * inputs));
  initialise(node, inputs, random);
}

/// Weights of ±1, chosen by the signs of real ones; sums of k of them are about √k. The gain is a power of
/// two near 1/√k: sums of such layers then need small multipliers only, and their thresholds few bits.
void make_binary(FloatNode& node) {
  node.grid.codebook = {-1, 1};
  const double inputs = static_cast<double>(node.weights.size()) / static_cast<double>(node.bias.size());
  node.gain = std::exp2(-std::round(std::log2(inputs) / 2));
}

std::size_t find_node(const FloatGraph& graph, const std::string& name) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].name == name) return i;
  }
  throw UsageError("zoo.layer", "no layer before it is called \"" + name + "\"");
}

}  // namespace

FloatGraph build_zoo_graph(const models::ZooNetwork& network, std::uint64_t seed) {
  FloatGraph graph;
  graph.name = network.name;
  graph.description = network.description;
  graph.encoding = network.encoding;
  graph.labels = network.labels;
  graph.dataset = network.dataset;
  const models::Shape& shape = network.encoding.shape;
  graph.mean.assign(static_cast<std::size_t>(shape.channels), 0);
  for (std::size_t c = 0; c < network.encoding.offset.size() && c < graph.mean.size(); ++c) {
    graph.mean[c] = static_cast<double>(network.encoding.offset[c]) / 255;
  }
  graph.deviation.assign(graph.mean.size(), 1);
  FloatNode input;
  input.name = "input";
  input.shape = shape;
  graph.nodes.push_back(input);

  std::mt19937_64 random(seed);
  for (const models::ZooLayer& layer : network.layers) {
    FloatNode node;
    node.kind = float_kind(layer.kind);
    node.name = layer.name;
    for (const std::string& name : layer.inputs) node.inputs.push_back(find_node(graph, name));
    if (layer.inputs.empty()) node.inputs = {graph.nodes.size() - 1};
    node.window = layer.window;
    std::vector<models::Shape> operands;
    for (const std::size_t operand : node.inputs) operands.push_back(graph.nodes[operand].shape);
    add_parameters(node, layer, operands.front(), random);
    if (network.binary_weights && node.has_weights()) make_binary(node);
    node.shape = models::output_shape(layer, operands);
    graph.nodes.push_back(std::move(node));
  }
  if (network.binary_weights) graph.nodes.back().gain *= network.logit_gain;
  graph.finish();
  return graph;
}

models::ZooNetwork perceptron(std::int64_t columns, const std::vector<std::int64_t>& hidden,
                              std::int64_t classes) {
  using models::ZooLayer;
  models::ZooNetwork network;
  network.name = "mlp";
  network.description = std::to_string(columns);
  network.dataset = "csv";
  network.encoding.shape = {columns, 1, 1};
  network.encoding.offset = {0};
  for (std::size_t k = 0; k < hidden.size(); ++k) {
    const std::string number = std::to_string(k + 1);
    network.layers.push_back({ZooLayer::Kind::dense, "fc" + number, hidden[k], {}});
    network.layers.push_back({ZooLayer::Kind::relu, "relu" + number, 0, {}});
    network.description += "-" + std::to_string(hidden[k]);
  }
  network.layers.push_back({ZooLayer::Kind::dense, "fc" + std::to_string(hidden.size() + 1), classes, {}});
  network.description += "-" + std::to_string(classes) + " perceptron on rows of numbers";
  return network;
}

}  // namespace popcorn::compress
