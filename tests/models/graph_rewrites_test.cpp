#include "models/network/graph_rewrites.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

bool has_relu_before_pool(const IntegerNetwork& network) {
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (network.nodes[i].kind != NodeKind::max_pool2d) continue;
    const std::size_t operand = network.nodes[i].inputs.front();
    std::size_t readers = 0;
    for (const Node& node : network.nodes) {
      for (const std::size_t read : node.inputs) readers += read == operand ? 1 : 0;
    }
    if (network.nodes[operand].kind == NodeKind::relu && readers == 1 &&
        network.nodes[i].shape.size() <= network.nodes[operand].shape.size()) {
      return true;
    }
  }
  return false;
}

std::set<std::string> names(const IntegerNetwork& network) {
  std::set<std::string> result;
  for (const Node& node : network.nodes) result.insert(node.name);
  return result;
}

std::int64_t relu_count(const IntegerNetwork& network) {
  std::int64_t count = 0;
  for (const Node& node : network.nodes) count += node.kind == NodeKind::relu ? node.shape.size() : 0;
  return count;
}

}  // namespace

namespace {

bool has_join_of_relus(const IntegerNetwork& network) {
  std::vector<std::size_t> readers(network.nodes.size(), 0);
  for (const Node& node : network.nodes) {
    for (const std::size_t operand : node.inputs) ++readers[operand];
  }
  return std::ranges::any_of(network.nodes, [&](const Node& node) {
    return node.kind == NodeKind::concat && std::ranges::all_of(node.inputs, [&](std::size_t operand) {
             return network.nodes[operand].kind == NodeKind::relu && readers[operand] == 1;
           });
  });
}

/// A module as in SqueezeNet: convolutions side by side, a ReLU behind each, joined, pooled.
IntegerNetwork fire_module(test::SeededRng& rng, std::size_t branches) {
  IntegerNetwork network;
  network.name = "fire";
  network.encoding.low = -20;
  network.encoding.high = 30;
  const auto add = [&](NodeKind kind, std::vector<std::size_t> inputs) -> Node& {
    Node node;
    node.kind = kind;
    node.name = std::string(to_string(kind)) + std::to_string(network.nodes.size());
    node.inputs = std::move(inputs);
    network.nodes.push_back(std::move(node));
    return network.nodes.back();
  };
  add(NodeKind::input, {}).shape = {2, 7, 6};
  std::vector<std::size_t> joined;
  for (std::size_t b = 0; b < branches; ++b) {
    Node& conv = add(NodeKind::conv2d, {0});
    const std::int64_t side = b % 2 == 0 ? 1 : 3, channels = rng.between(1, 3);
    conv.window.kernel_height = conv.window.kernel_width = side;
    conv.window.pad_top = conv.window.pad_left = conv.window.pad_bottom = conv.window.pad_right = side / 2;
    conv.shape = {channels, 7, 6};
    for (std::int64_t i = 0; i < channels * 2 * side * side; ++i) {
      conv.weights.push_back(static_cast<std::int32_t>(rng.between(-5, 5)));
    }
    add(NodeKind::relu, {network.nodes.size() - 1});
    joined.push_back(network.nodes.size() - 1);
  }
  std::rotate(joined.begin(), joined.begin() + static_cast<std::ptrdiff_t>(rng.below(branches)),
              joined.end());
  Node& join = add(NodeKind::concat, joined);
  for (std::size_t b = 0; b < branches; ++b) join.multipliers.push_back(rng.between(1, 4));
  Node& pool = add(NodeKind::max_pool2d, {network.nodes.size() - 1});
  pool.window.kernel_height = pool.window.kernel_width = 3;
  pool.window.stride_height = pool.window.stride_width = 2;
  add(NodeKind::flatten, {network.nodes.size() - 1});
  add(NodeKind::output, {network.nodes.size() - 1});
  network.finish();
  return network;
}

}  // namespace

TEST_CASE("ReLUs move behind a join and, with it, behind a pool, without changing the function", "[models]") {
  test::SeededRng rng(43);
  for (int round = 0; round < 30; ++round) {
    const auto branches = static_cast<std::size_t>(rng.between(2, 4));
    const IntegerNetwork before = fire_module(rng, branches);
    IntegerNetwork joined = before;
    REQUIRE(move_relus_behind_concat(joined) == 1);
    REQUIRE(joined.nodes.size() == before.nodes.size() - branches + 1);
    REQUIRE(relu_count(joined) == relu_count(before));
    IntegerNetwork after = before;
    optimise(after);
    std::int64_t pooled = 0;
    for (const Node& node : after.nodes) pooled += node.kind == NodeKind::max_pool2d ? node.shape.size() : 0;
    REQUIRE(relu_count(after) == pooled);
    for (int k = 0; k < 3; ++k) {
      const WideVector input = test::random_input(rng, before);
      REQUIRE(evaluate(joined, input) == evaluate(before, input));
      REQUIRE(evaluate(after, input) == evaluate(before, input));
    }
  }
}

TEST_CASE("every rewrite keeps the function of random networks", "[models]") {
  test::SeededRng rng(42);
  test::RandomNetworkOptions options;
  options.nodes = 14;
  options.max_extent = 10;
  options.nonzero_percent = 70;
  options.kinds = {NodeKind::relu,   NodeKind::relu,   NodeKind::relu, NodeKind::concat,    NodeKind::concat,
                   NodeKind::conv2d, NodeKind::conv2d, NodeKind::add,  NodeKind::max_pool2d};
  std::size_t moved = 0, dropped = 0;
  for (int round = 0; round < 150; ++round) {
    const IntegerNetwork before = test::random_network(rng, options);
    IntegerNetwork joined = before, thinned = before, all = before;
    const std::size_t count = move_relus_behind_concat(joined);
    moved += count;
    REQUIRE((count > 0) == has_join_of_relus(before));
    REQUIRE_FALSE(has_join_of_relus(joined));
    REQUIRE(relu_count(joined) == relu_count(before));
    dropped += drop_needless_relus(thinned);
    REQUIRE(relu_count(thinned) <= relu_count(before));
    REQUIRE(drop_needless_relus(thinned) == 0);
    optimise(all);
    REQUIRE(relu_count(all) <= relu_count(before));
    REQUIRE(names(all).size() == all.nodes.size());
    for (int k = 0; k < 3; ++k) {
      const WideVector input = test::random_input(rng, before);
      const WideVector expected = evaluate(before, input);
      REQUIRE(evaluate(joined, input) == expected);
      REQUIRE(evaluate(thinned, input) == expected);
      REQUIRE(evaluate(all, input) == expected);
    }
  }
  REQUIRE(moved > 0);  // the modules of the test above have all that can happen
  REQUIRE(dropped > 20);
}

TEST_CASE("moving max-pools before ReLUs keeps the function", "[models]") {
  test::SeededRng rng(41);
  test::RandomNetworkOptions options;
  options.nodes = 12;
  options.max_extent = 12;
  // Mostly ReLUs and pools, so that chains and shared operands occur.
  options.kinds = {NodeKind::relu, NodeKind::relu,   NodeKind::max_pool2d, NodeKind::max_pool2d,
                   NodeKind::add,  NodeKind::conv2d, NodeKind::concat};
  std::size_t moved = 0;
  for (int round = 0; round < 150; ++round) {
    const IntegerNetwork before = test::random_network(rng, options);
    IntegerNetwork after = before;
    const std::size_t count = move_max_pool_before_relu(after);
    moved += count;
    REQUIRE((count > 0) == has_relu_before_pool(before));
    REQUIRE_FALSE(has_relu_before_pool(after));
    REQUIRE(names(before) == names(after));
    REQUIRE(relu_count(after) <= relu_count(before));
    REQUIRE_NOTHROW(after.finish());
    for (int k = 0; k < 3; ++k) {
      const WideVector input = test::random_input(rng, before);
      REQUIRE(evaluate(after, input) == evaluate(before, input));
    }
    optimise(after);
    REQUIRE(move_max_pool_before_relu(after) == 0);
  }
  REQUIRE(moved > 50);
}

TEST_CASE("a max-pool before a rescale gives the same values", "[models]") {
  test::SeededRng rng(38);
  int moved = 0, joined = 0;
  for (int round = 0; round < 400; ++round) {
    test::RandomNetworkOptions options = test::requantised_options();
    options.kinds = {NodeKind::conv2d,     NodeKind::rescale,    NodeKind::rescale,
                     NodeKind::max_pool2d, NodeKind::max_pool2d, NodeKind::concat};
    options.max_multiplier = 1;
    options.nodes = 6;
    IntegerNetwork network = test::random_network(rng, options);
    for (Node& node : network.nodes) node.ring_bits = 0;
    network.finish();
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      IntegerNetwork rewritten = network;
      if (!move_max_pool_before_rescale(rewritten, i)) continue;
      ++moved;
      joined += rewritten.nodes.size() < network.nodes.size() ? 1 : 0;
      for (int k = 0; k < 3; ++k) {
        const WideVector input = test::random_input(rng, network);
        const WideVector before = evaluate(network, input), after = evaluate(rewritten, input);
        REQUIRE(before.size() == after.size());
        for (std::size_t v = 0; v < before.size(); ++v) REQUIRE(before.to_int64(v) == after.to_int64(v));
      }
    }
  }
  CHECK(moved > 30);
  CHECK(joined > 0);
}
