#include "tests/cli/small_network.h"

#include "models/file/popcorn_file.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

namespace {

using models::Node;
using models::NodeKind;
using models::Shape;

Node make_node(NodeKind kind, const std::string& name, std::vector<std::size_t> inputs, Shape shape) {
  Node node;
  node.kind = kind;
  node.name = name;
  node.inputs = std::move(inputs);
  node.shape = shape;
  node.scale = {0.01};
  return node;
}

void fill_weights(Node& node, std::size_t count, SeededRng& rng) {
  for (std::size_t i = 0; i < count; ++i) {
    node.weights.push_back(rng.below(3) == 0 ? static_cast<std::int32_t>(rng.between(-3, 3)) : 0);
  }
  node.bias = WideVector(static_cast<std::size_t>(node.shape.channels), 1);
  for (std::size_t i = 0; i < node.bias.size(); ++i) node.bias.set_int64(i, rng.between(-200, 200));
}

}  // namespace

models::IntegerNetwork small_network() {
  SeededRng rng(3);
  models::IntegerNetwork network;
  network.name = "small";
  network.description = "random weights, for tests";
  network.encoding.shape = {1, 28, 28};
  network.encoding.offset = {0};
  network.encoding.invert = models::InputEncoding::Invert::dark_on_light;
  for (int digit = 0; digit <= 9; ++digit) network.labels.push_back(std::to_string(digit));

  network.nodes.push_back(make_node(NodeKind::input, "image", {}, {1, 28, 28}));
  Node conv = make_node(NodeKind::conv2d, "conv1", {0}, {2, 8, 8});
  conv.window.kernel_height = conv.window.kernel_width = 5;
  conv.window.stride_height = conv.window.stride_width = 3;
  fill_weights(conv, 2 * 25, rng);
  network.nodes.push_back(std::move(conv));
  Node pool = make_node(NodeKind::max_pool2d, "pool1", {1}, {2, 4, 4});
  pool.window.kernel_height = pool.window.kernel_width = 2;
  pool.window.stride_height = pool.window.stride_width = 2;
  network.nodes.push_back(std::move(pool));
  network.nodes.push_back(make_node(NodeKind::relu, "relu1", {2}, {2, 4, 4}));
  network.nodes.push_back(make_node(NodeKind::flatten, "flatten", {3}, {32, 1, 1}));
  Node dense = make_node(NodeKind::dense, "fc1", {4}, {10, 1, 1});
  fill_weights(dense, 320, rng);
  network.nodes.push_back(std::move(dense));
  network.nodes.push_back(make_node(NodeKind::output, "logits", {5}, {10, 1, 1}));
  network.finish();
  return network;
}

models::IntegerNetwork wide_network() {
  constexpr std::int64_t kChannels = 4096;
  SeededRng rng(4);
  models::IntegerNetwork network = small_network();
  network.name = "wide";
  network.nodes.resize(1);
  Node conv = make_node(NodeKind::conv2d, "conv1", {0}, {kChannels, 28, 28});
  fill_weights(conv, kChannels, rng);
  network.nodes.push_back(std::move(conv));
  network.nodes.push_back(make_node(NodeKind::relu, "relu1", {1}, {kChannels, 28, 28}));
  Node pool = make_node(NodeKind::sum_pool2d, "pool1", {2}, {kChannels, 1, 1});
  pool.window.kernel_height = pool.window.kernel_width = 28;
  network.nodes.push_back(std::move(pool));
  network.nodes.push_back(make_node(NodeKind::flatten, "flatten", {3}, {kChannels, 1, 1}));
  Node dense = make_node(NodeKind::dense, "fc1", {4}, {10, 1, 1});
  fill_weights(dense, 10 * kChannels, rng);
  network.nodes.push_back(std::move(dense));
  network.nodes.push_back(make_node(NodeKind::output, "logits", {5}, {10, 1, 1}));
  network.finish();
  return network;
}

std::string write_small_network(const std::string& path) {
  models::write_network(small_network(), path);
  return path;
}

}  // namespace popcorn::test
