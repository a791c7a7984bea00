#include "models/network/arg_max.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

TEST_CASE("a network with an arg-max answers with the first largest logit", "[arg_max]") {
  test::SeededRng rng(91);
  int tested = 0;
  for (int round = 0; round < 60; ++round) {
    IntegerNetwork network = test::random_network(rng);
    const std::int64_t outputs = network.output().shape.size();
    if (network.output().scale.size() > 1) {
      if (outputs > 1) REQUIRE_THROWS_AS(with_arg_max(network), InputError);
      network.nodes.back().scale.resize(1);
    }
    if (outputs < 2) {
      REQUIRE_THROWS_AS(with_arg_max(network), InputError);
      continue;
    }
    const IntegerNetwork labelled = with_arg_max(network);
    REQUIRE(labelled.name == network.name + ".label");
    REQUIRE(labelled.output().shape.size() == 1);
    REQUIRE(labelled.config_id() != network.config_id());
    for (int i = 0; i < 5; ++i) {
      const WideVector input = test::random_input(rng, network);
      const auto expected = static_cast<std::int64_t>(arg_max(evaluate(network, input)));
      REQUIRE(evaluate(labelled, input).to_int64(0) == 2 * expected);
    }
    ++tested;
  }
  REQUIRE(tested > 10);
}

TEST_CASE("ties go to the lowest index, for every number of outputs", "[arg_max]") {
  for (std::int64_t outputs = 2; outputs <= 17; ++outputs) {
    IntegerNetwork network;
    network.name = "identity";
    network.encoding.shape = {outputs, 1, 1};
    network.encoding.low = -3;
    network.encoding.high = 3;
    Node input;
    input.kind = NodeKind::input;
    input.name = "input";
    Node output;
    output.kind = NodeKind::output;
    output.name = "output";
    output.inputs = {0};
    network.nodes = {input, output};
    network.finish();
    const IntegerNetwork labelled = with_arg_max(network);
    test::SeededRng rng(static_cast<std::uint64_t>(outputs));
    for (int i = 0; i < 40; ++i) {
      std::vector<std::int64_t> values(static_cast<std::size_t>(outputs));
      for (auto& value : values) value = rng.between(-3, 3);
      const WideVector x = WideVector::from_int64(values);
      REQUIRE(evaluate(labelled, x).to_int64(0) == 2 * static_cast<std::int64_t>(arg_max(x)));
    }
  }
}
