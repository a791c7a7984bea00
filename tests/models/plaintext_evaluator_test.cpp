#include "models/evaluation/plaintext_evaluator.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "tests/models/reference_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

/// Small values, values around one word, and values of many words.
std::vector<test::RandomNetworkOptions> sizes() {
  std::vector<test::RandomNetworkOptions> options(3);
  options[1].max_weight = 30000;
  options[1].bias_bits = 70;
  options[2].max_weight = INT32_MAX;
  options[2].max_multiplier = INT64_MAX;
  options[2].bias_bits = 200;
  options[2].nodes = 16;
  return options;
}

}  // namespace

TEST_CASE("the exact evaluator equals the definitions on random networks of every kind and size",
          "[models]") {
  test::SeededRng rng(11);
  std::set<NodeKind> kinds;
  std::size_t most_limbs = 0;
  for (const test::RandomNetworkOptions& options : sizes()) {
    for (int round = 0; round < 60; ++round) {
      const IntegerNetwork network = test::random_network(rng, options);
      const WideVector input = test::random_input(rng, network);
      const std::vector<WideVector> outputs = evaluate_all(network, input);
      const auto expected = test::reference_outputs(network, input);
      REQUIRE(outputs.size() == network.nodes.size());
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        INFO("round " << round << ", node " << network.nodes[i].name);
        REQUIRE(test::to_zz(outputs[i]) == expected[i]);
        kinds.insert(network.nodes[i].kind);
        most_limbs = std::max(most_limbs, outputs[i].limbs());
      }
      REQUIRE(evaluate(network, input) == outputs.back());
    }
  }
  REQUIRE(kinds.size() == 11);  // every node kind occurred
  REQUIRE(most_limbs > 7);      // and widths beyond the specialised ones
}

TEST_CASE("a node takes operands of any width that holds them", "[models]") {
  test::SeededRng rng(12);
  for (int round = 0; round < 30; ++round) {
    const IntegerNetwork network = test::random_network(rng);
    const std::vector<WideVector> outputs = evaluate_all(network, test::random_input(rng, network));
    for (std::size_t i = 1; i < outputs.size(); ++i) {
      std::vector<WideVector> wide;
      for (const std::size_t operand : network.nodes[i].inputs) wide.push_back(outputs[operand].resized(5));
      std::vector<const WideVector*> operands;
      for (const WideVector& operand : wide) operands.push_back(&operand);
      REQUIRE(evaluate_node(network, i, operands) == outputs[i]);
    }
  }
}

TEST_CASE("inputs of the wrong size or range are refused", "[models]") {
  test::SeededRng rng(13);
  const IntegerNetwork network = test::random_network(rng);
  const WideVector input = test::random_input(rng, network);
  REQUIRE_THROWS_AS(evaluate(network, input.slice(0, input.size() - 1)), InputError);
  for (const std::int64_t outside : {network.encoding.low - 1, network.encoding.high + 1}) {
    WideVector changed = input;
    changed.set_int64(input.size() - 1, outside);
    REQUIRE_THROWS_AS(evaluate(network, changed), InputError);
  }
  WideVector wide = input.resized(2);
  wide[0][1] = 1;
  REQUIRE_THROWS_AS(evaluate(network, wide), InputError);
}

TEST_CASE("arg_max takes the lowest index of a tie", "[models]") {
  REQUIRE(arg_max(WideVector::from_int64(std::vector<std::int64_t>{-3, 7, 7, -9})) == 1);
  REQUIRE(arg_max(WideVector::from_int64(std::vector<std::int64_t>{-3, -4})) == 0);
}
