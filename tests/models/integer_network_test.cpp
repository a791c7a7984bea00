#include "models/network/integer_network.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

Node make(NodeKind kind, std::string name, std::vector<std::size_t> inputs) {
  Node node;
  node.kind = kind;
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  return node;
}

/// input 2x4x4 → conv 3x3 → relu → pool → flatten → fc → output
IntegerNetwork small() {
  IntegerNetwork network;
  network.name = "small";
  network.encoding.shape = {2, 4, 4};
  Node conv = make(NodeKind::conv2d, "conv", {0});
  conv.window.kernel_height = conv.window.kernel_width = 3;
  conv.window.pad_top = conv.window.pad_left = conv.window.pad_bottom = conv.window.pad_right = 1;
  conv.weights.assign(3 * 2 * 9, -1);
  conv.bias = WideVector(3, 1);
  Node pool = make(NodeKind::max_pool2d, "pool", {2});
  pool.window.kernel_height = pool.window.kernel_width = 2;
  pool.window.stride_height = pool.window.stride_width = 2;
  Node fc = make(NodeKind::dense, "fc", {4});
  fc.weights.assign(12 * 5, 2);
  fc.bias = WideVector(5, 1);
  network.nodes = {make(NodeKind::input, "input", {}),      conv, make(NodeKind::relu, "relu", {1}),    pool,
                   make(NodeKind::flatten, "flatten", {3}), fc,   make(NodeKind::output, "output", {5})};
  return network;
}

struct Damage {
  const char* code;
  const char* names;  ///< must occur in the message
  std::function<void(IntegerNetwork&)> apply;
};

std::vector<Damage> damages() {
  const auto huge = std::numeric_limits<std::int64_t>::max();
  return {
      {"model.name", "name", [](auto& n) { n.name = "../etc"; }},
      {"model.node_count", "2", [](auto& n) { n.nodes.resize(1); }},
      {"model.node_count", "4096", [](auto& n) { n.nodes.resize(5000); }},
      {"model.input", "conv", [](auto& n) { n.nodes[1].kind = NodeKind::input; }},
      {"model.input", "input", [](auto& n) { n.nodes[0].kind = NodeKind::relu; }},
      {"model.output", "output", [](auto& n) { n.nodes[6].kind = NodeKind::relu; }},
      {"model.output", "relu", [](auto& n) { n.nodes[2].kind = NodeKind::output; }},
      {"model.cycle", "conv", [](auto& n) { n.nodes[1].inputs = {1}; }},
      {"model.cycle", "conv", [](auto& n) { n.nodes[1].inputs = {5}; }},
      {"model.cycle", "conv", [](auto& n) { n.nodes[1].inputs = {SIZE_MAX}; }},
      {"model.unused_node", "relu", [](auto& n) { n.nodes[3].inputs = {1}; }},
      {"model.node_name", "name", [](auto& n) { n.nodes[2].name = ""; }},
      {"model.node_name", "name", [](auto& n) { n.nodes[2].name = "re\nlu"; }},
      {"model.node_name", "name", [](auto& n) { n.nodes[2].name = std::string(300, 'x'); }},
      {"model.duplicate_node", "conv", [](auto& n) { n.nodes[2].name = "conv"; }},
      {"model.operands", "relu",
       [](auto& n) {
         n.nodes[2].inputs = {1, 1};
       }},
      {"model.operands", "output",
       [](auto& n) {
         n.nodes.erase(n.nodes.begin() + 1, n.nodes.begin() + 6);
         n.nodes[1].inputs = {0, 0};
       }},
      {"model.window", "conv", [](auto& n) { n.nodes[1].window.stride_width = 0; }},
      {"model.window", "conv", [=](auto& n) { n.nodes[1].window.kernel_height = huge; }},
      {"model.window", "conv", [](auto& n) { n.nodes[1].window.pad_left = -1; }},
      {"model.window", "conv", [=](auto& n) { n.nodes[1].window.pad_left = huge; }},
      {"model.window", "conv", [=](auto& n) { n.nodes[1].window.dilation_width = huge; }},
      {"model.window", "relu", [](auto& n) { n.nodes[2].window.kernel_width = 2; }},
      {"model.window", "pool", [](auto& n) { n.nodes[3].window.pad_top = 2; }},
      {"model.window", "pool", [](auto& n) { n.nodes[3].groups = 3; }},
      {"model.shape_mismatch", "conv", [](auto& n) { n.nodes[1].groups = 2; }},
      {"model.shape_mismatch", "conv", [](auto& n) { n.nodes[1].groups = 0; }},
      {"model.shape_mismatch", "conv", [](auto& n) { n.nodes[1].window.kernel_width = 7; }},
      {"model.shape_mismatch", "fc",
       [](auto& n) {  // no flatten before it
         n.nodes.erase(n.nodes.begin() + 4);
         n.nodes[4].inputs = {3};
         n.nodes[5].inputs = {4};
       }},
      {"model.shape_mismatch", "relu",
       [](auto& n) {
         n.nodes[2].shape = {3, 4, 5};
       }},
      {"model.shape", "conv", [=](auto& n) { n.nodes[1].shape.channels = huge; }},
      {"model.shape", "conv", [](auto& n) { n.nodes[1].bias = WideVector(); }},
      {"model.shape", "encoding",
       [=](auto& n) {
         n.encoding.shape = {huge, huge, huge};
       }},
      {"model.shape", "encoding",
       [](auto& n) {
         n.encoding.shape = {1 << 20, 1 << 16, 1 << 16};
       }},
      {"model.shape", "encoding",
       [](auto& n) {
         n.encoding.shape = {-1, -4, 4};
       }},
      {"model.weights", "conv", [](auto& n) { n.nodes[1].weights.pop_back(); }},
      {"model.weights", "conv", [](auto& n) { n.nodes[1].weights[4] = INT32_MIN; }},
      {"model.weights", "conv",
       [](auto& n) {
         n.encoding.shape = {1 << 20, 1, 1};
         n.nodes[1].shape = {1 << 20, 1, 1};
       }},
      {"model.weights", "relu", [](auto& n) { n.nodes[2].weights = {1}; }},
      {"model.bias", "fc",
       [](auto& n) {
         n.nodes[5].shape = {5, 1, 1}, n.nodes[5].bias = WideVector(4, 1);
       }},
      {"model.bias", "fc", [](auto& n) { n.nodes[5].bias = WideVector(5, 64); }},
      {"model.multipliers", "relu", [](auto& n) { n.nodes[2].multipliers = {1}; }},
      {"model.multipliers", "relu",
       [](auto& n) {
         n.nodes[2].kind = NodeKind::add, n.nodes[2].inputs = {1, 1}, n.nodes[2].multipliers = {1, 0};
       }},
      {"model.multipliers", "relu",
       [](auto& n) {
         n.nodes[2].kind = NodeKind::add, n.nodes[2].inputs = {1, 1}, n.nodes[2].multipliers = {1};
       }},
      {"model.scale", "conv",
       [](auto& n) {
         n.nodes[1].scale = {1, 1};
       }},
      {"model.scale", "conv", [](auto& n) { n.nodes[1].scale = {0}; }},
      {"model.scale", "conv",
       [](auto& n) {
         n.nodes[1].scale = {1, -1, 1};
       }},
      {"model.scale", "conv", [](auto& n) { n.nodes[1].scale = {std::numeric_limits<double>::quiet_NaN()}; }},
      {"model.scale", "conv", [](auto& n) { n.nodes[1].scale = {std::numeric_limits<double>::infinity()}; }},
      {"model.encoding", "encoding",
       [](auto& n) {
         n.nodes[0].shape = {2, 4, 5};
       }},
      {"model.encoding", "color", [](auto& n) { n.encoding.color = "cmyk"; }},
      {"model.encoding", "range", [](auto& n) { n.encoding.low = 256; }},
      {"model.encoding", "offset",
       [](auto& n) {
         n.encoding.offset = {1, 2, 3};
       }},
      {"model.encoding", "resize", [](auto& n) { n.encoding.resize_shorter_side = -1; }},
      {"model.encoding", "resize",
       [](auto& n) { n.encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop; }},
      {"model.labels", "labels",
       [](auto& n) {
         n.labels = {"a", "b"};
       }},
      {"model.value_too_large", "fc",
       [](auto& n) { n.nodes[5].bias = WideVector(5, 63), n.nodes[5].bias[0][62] = 1LL << 40; }},
  };
}

}  // namespace

TEST_CASE("finish infers what is left out", "[models]") {
  IntegerNetwork network = small();
  network.finish();
  REQUIRE(network.input().shape == Shape{2, 4, 4});
  REQUIRE(network.nodes[1].shape == Shape{3, 4, 4});
  REQUIRE(network.nodes[3].shape == Shape{3, 2, 2});
  REQUIRE(network.nodes[4].shape == Shape{12, 1, 1});
  REQUIRE(network.output().shape == Shape{5, 1, 1});
  REQUIRE(network.nodes[1].scale == std::vector<double>{1.0});
  REQUIRE(network.encoding.offset == std::vector<std::int64_t>{0});
  REQUIRE(network.nodes[1].bounds.bits == 13);  // 18 · 255 = 4590
  REQUIRE(network.nodes[2].bounds.bits == 0);   // ReLU of what is never positive
  REQUIRE(network.nodes[1].shape.to_string() == "3x4x4");
  REQUIRE(network.output().shape.to_string() == "5");
  REQUIRE(network.find("pool") == 3);
  REQUIRE_FALSE(network.find("pool2"));
}

TEST_CASE("finish may be called again", "[models]") {
  test::SeededRng rng(31);
  IntegerNetwork network = test::random_network(rng);
  const std::string id = network.config_id();
  REQUIRE_NOTHROW(network.finish());
  REQUIRE(network.config_id() == id);
}

TEST_CASE("finish refuses every kind of damage and names the place", "[models]") {
  int index = 0;
  for (const Damage& damage : damages()) {
    INFO("damage " << index++ << ", " << damage.code);
    IntegerNetwork network = small();
    damage.apply(network);
    try {
      network.finish();
      FAIL("accepted");
    } catch (const InputError& error) {
      INFO(error.what());
      REQUIRE(error.code() == damage.code);
      REQUIRE(std::string(error.what()).find(damage.names) != std::string::npos);
    }
  }
}

TEST_CASE("values and bounds that would take too much are refused before they are computed", "[models]") {
  IntegerNetwork network;
  network.encoding.shape = {1 << 20, 1, 1};
  network.nodes = {make(NodeKind::input, "input", {})};
  for (std::size_t i = 0; i < 100; ++i) {
    network.nodes.push_back(make(NodeKind::relu, "relu" + std::to_string(i), {i}));
  }
  network.nodes.push_back(make(NodeKind::output, "output", {100}));
  REQUIRE_THROWS_WITH(network.finish(), Catch::Contains("bounds of all channels"));

  IntegerNetwork doubling;
  doubling.encoding.shape = {1, 1, 1};
  doubling.nodes = {make(NodeKind::input, "input", {})};
  for (std::size_t i = 0; i < 100; ++i) {
    Node sum = make(NodeKind::add, "sum" + std::to_string(i), {i, i});
    sum.multipliers = {INT64_MAX, INT64_MAX};
    doubling.nodes.push_back(sum);
  }
  doubling.nodes.push_back(make(NodeKind::output, "output", {100}));
  REQUIRE_THROWS_WITH(doubling.finish(), Catch::Contains("at most 4000"));
}

TEST_CASE("figures of a node's weights", "[models]") {
  Node node;
  REQUIRE(node.density() == 1.0);
  REQUIRE(node.weight_bits() == 0);
  node.weights = {0, -7, 7, 3, 0, 0, -1, 3};
  REQUIRE(node.nonzeros() == 5);
  REQUIRE(node.density() == 0.625);
  REQUIRE(node.magnitudes() == std::vector<std::int32_t>{1, 3, 7});
  REQUIRE(node.weight_bits() == 4);
  node.weights = {1, -1};
  REQUIRE(node.weight_bits() == 2);
}

TEST_CASE("the configuration's name depends on the function and not on the facts", "[models]") {
  IntegerNetwork network = small();
  network.finish();
  const std::string id = network.config_id();
  REQUIRE(id.size() == 64);
  network.facts.emplace_back("accuracy", "0.99");
  REQUIRE(network.config_id() == id);
  network.nodes[1].weights[5] = 3;
  network.finish();
  REQUIRE(network.config_id() != id);
}
