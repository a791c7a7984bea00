#include <catch2/catch.hpp>

#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/sliding_window.h"
#include "tests/models/reference_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

TEST_CASE("every value of every tensor lies within its static bounds", "[models]") {
  test::SeededRng rng(21);
  test::RandomNetworkOptions options;
  options.max_weight = 100;
  for (int round = 0; round < 100; ++round) {
    const IntegerNetwork network = test::random_network(rng, options);
    const std::vector<WideVector> outputs = evaluate_all(network, test::random_input(rng, network));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Node& node = network.nodes[i];
      const Bounds& bounds = node.bounds;
      const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
      REQUIRE(bounds.low.size() == static_cast<std::size_t>(node.shape.channels));
      for (std::size_t k = 0; k < outputs[i].size(); ++k) {
        INFO("round " << round << ", node " << node.name << ", value " << k);
        REQUIRE(WideVector::compare(bounds.low, k / plane, outputs[i], k) <= 0);
        REQUIRE(WideVector::compare(outputs[i], k, bounds.high, k / plane) <= 0);
      }
      REQUIRE(bounds.bits == std::max(bounds.low.max_bit_length(), bounds.high.max_bit_length()));
    }
  }
}

TEST_CASE("the bounds of a linear layer on the input are attained", "[models]") {
  test::SeededRng rng(22);
  test::RandomNetworkOptions options;
  options.nodes = 0;  // input, flatten, dense, output
  options.max_weight = INT32_MAX;
  options.bias_bits = 90;
  for (int round = 0; round < 50; ++round) {
    const IntegerNetwork network = test::random_network(rng, options);
    const Node& dense = network.nodes[network.nodes.size() - 2];
    const auto inputs = static_cast<std::size_t>(network.input().shape.size());
    for (std::size_t output = 0; output < dense.bias.size(); ++output) {
      WideVector least(inputs, 1);
      WideVector most(inputs, 1);
      for (std::size_t i = 0; i < inputs; ++i) {
        const bool negative = dense.weights[output * inputs + i] < 0;
        least.set_int64(i, negative ? network.encoding.high : network.encoding.low);
        most.set_int64(i, negative ? network.encoding.low : network.encoding.high);
      }
      REQUIRE(WideVector::compare(evaluate(network, least), output, dense.bounds.low, output) == 0);
      REQUIRE(WideVector::compare(evaluate(network, most), output, dense.bounds.high, output) == 0);
    }
  }
}

TEST_CASE("padding widens an interval only where a tap can miss the input", "[models]") {
  // All inputs are 5; a 3x3 window of ones over 2x2 values sees between 4 and 4 of them with padding 1.
  const auto network_with = [](std::int64_t pad, std::int64_t kernel) {
    IntegerNetwork network;
    network.encoding.low = network.encoding.high = 5;
    Node input;
    input.name = "input";
    input.shape = {1, 2, 2};
    Node conv;
    conv.kind = NodeKind::conv2d;
    conv.name = "conv";
    conv.inputs = {0};
    conv.window.kernel_height = conv.window.kernel_width = kernel;
    conv.window.pad_top = conv.window.pad_bottom = conv.window.pad_left = conv.window.pad_right = pad;
    conv.weights.assign(static_cast<std::size_t>(kernel * kernel), 1);
    conv.bias = WideVector(1, 1);
    Node pool = conv;
    pool.kind = NodeKind::sum_pool2d;
    pool.name = "pool";
    pool.weights.clear();
    pool.bias = WideVector();
    Node sum;
    sum.kind = NodeKind::add;
    sum.name = "sum";
    sum.inputs = {1, 2};
    Node output;
    output.kind = NodeKind::output;
    output.name = "output";
    output.inputs = {3};
    network.nodes = {input, conv, pool, sum, output};
    network.finish();
    return network;
  };
  const IntegerNetwork tight = network_with(0, 2);
  REQUIRE(tight.nodes[1].bounds.low.to_int64(0) == 20);
  REQUIRE(tight.nodes[1].bounds.high.to_int64(0) == 20);
  REQUIRE(tight.nodes[2].bounds.low.to_int64(0) == 20);
  const IntegerNetwork padded = network_with(1, 3);
  REQUIRE(padded.nodes[1].bounds.low.to_int64(0) == 5);  // only the middle tap is always inside
  REQUIRE(padded.nodes[1].bounds.high.to_int64(0) == 45);
  REQUIRE(padded.nodes[2].bounds.low.to_int64(0) == 20);  // a sum knows how many taps are inside
  REQUIRE(padded.nodes[2].bounds.high.to_int64(0) == 20);
}

TEST_CASE("the ranges of an axis agree with trying every pair", "[models]") {
  test::SeededRng rng(23);
  for (int round = 0; round < 2000; ++round) {
    Axis axis;
    axis.input = rng.between(1, 12);
    axis.kernel = rng.between(1, 5);
    axis.stride = rng.between(1, 4);
    axis.dilation = rng.between(1, 4);
    axis.pad_before = rng.between(0, 8);
    const std::int64_t pad_after = rng.between(0, 8);
    axis.output =
        window_outputs(axis.input, axis.kernel, axis.stride, axis.pad_before, pad_after, axis.dilation);
    for (std::int64_t out = 0; out < axis.output; ++out) {
      const Range taps = axis.taps_of_output(out);
      for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
        const std::int64_t at = axis.input_at(out, tap);
        const bool inside = at >= 0 && at < axis.input;
        REQUIRE((tap >= taps.begin && tap < taps.end) == inside);
        const Range outputs = axis.outputs_of_tap(tap);
        REQUIRE((out >= outputs.begin && out < outputs.end) == inside);
      }
    }
  }
}
