#include "models/graph_rewrites.h"

#include <catch2/catch.hpp>
#include <set>

#include "models/plaintext_evaluator.h"
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
