#include "models/network/zoo.h"

#include <catch2/catch.hpp>
#include <map>

#include "base/error.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

/// The layer list with weights of zero: its shapes are checked by finish().
IntegerNetwork without_weights(const ZooNetwork& zoo) {
  IntegerNetwork network;
  network.name = zoo.name;
  network.encoding = zoo.encoding;
  network.labels = zoo.labels;
  Node input;
  input.name = "input";
  input.shape = zoo.encoding.shape;
  network.nodes.push_back(input);
  Shape shape = zoo.encoding.shape;
  for (const ZooLayer& layer : zoo.layers) {
    Node node;
    node.name = layer.name;
    node.window = layer.window;
    node.inputs = {network.nodes.size() - 1};
    switch (layer.kind) {
      case ZooLayer::Kind::conv2d:
        node.kind = NodeKind::conv2d;
        break;
      case ZooLayer::Kind::dense:
        node.kind = NodeKind::dense;
        break;
      case ZooLayer::Kind::max_pool2d:
        node.kind = NodeKind::max_pool2d;
        break;
      case ZooLayer::Kind::relu:
        node.kind = NodeKind::relu;
        break;
      default:
        node.kind = NodeKind::flatten;
        break;
    }
    if (layer.outputs > 0) {
      node.bias = WideVector(static_cast<std::size_t>(layer.outputs), 1);
      node.weights.resize(static_cast<std::size_t>(layer.outputs * shape.channels *
                                                   layer.window.kernel_height * layer.window.kernel_width));
      shape.channels = layer.outputs;
    }
    if (layer.kind == ZooLayer::Kind::flatten) {  // needs the shape so far
      Node output;
      output.kind = NodeKind::output;
      output.name = "output";
      output.inputs = node.inputs;
      IntegerNetwork prefix = network;
      prefix.labels.clear();
      prefix.nodes.push_back(output);
      prefix.finish();
      shape = {prefix.output().shape.size(), 1, 1};
    }
    network.nodes.push_back(node);
  }
  Node output;
  output.kind = NodeKind::output;
  output.name = "output";
  output.inputs = {network.nodes.size() - 1};
  network.nodes.push_back(output);
  network.finish();
  return network;
}

struct Counts {
  std::int64_t relus = 0;
  std::int64_t pool_windows = 0;
  std::uint64_t weights = 0;
};

Counts counts(const IntegerNetwork& network) {
  Counts result;
  for (const Node& node : network.nodes) {
    if (node.kind == NodeKind::relu) result.relus += node.shape.size();
    if (node.kind == NodeKind::max_pool2d) result.pool_windows += node.shape.size();
  }
  result.weights = network.weights();
  return result;
}

}  // namespace

TEST_CASE("the zoo's networks have the literature's sizes", "[models]") {
  const Counts mlp = counts(without_weights(zoo_network("mnist-mlp")));
  REQUIRE(mlp.relus == 256);
  REQUIRE(mlp.weights == 784 * 128 + 128 * 128 + 128 * 10);
  const Counts conv1 = counts(without_weights(zoo_network("mnist-conv1")));
  REQUIRE(conv1.relus == 1080);
  REQUIRE(conv1.weights == 5 * 25 + 980 * 100 + 100 * 10);
  const Counts conv2 = counts(without_weights(zoo_network("mnist-conv2")));
  REQUIRE(conv2.relus == 2660);
  REQUIRE(conv2.pool_windows == 2560);
  REQUIRE(conv2.weights == 16 * 25 + 16 * 16 * 25 + 256 * 100 + 100 * 10);
}

TEST_CASE("an unknown zoo network is refused with the known names", "[models]") {
  try {
    zoo_network("mnist-conv3");
    FAIL("accepted");
  } catch (const UsageError& error) {
    REQUIRE(error.code() == "zoo.unknown");
    REQUIRE(std::string(error.what()).find("mnist-conv2") != std::string::npos);
  }
}
