#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

struct Batch {
  std::vector<WideVector> inputs;
  std::vector<std::int16_t> values;
};

Batch random_batch(test::SeededRng& rng, const IntegerNetwork& network, std::size_t count) {
  Batch batch;
  for (std::size_t k = 0; k < count; ++k) {
    batch.inputs.push_back(test::random_input(rng, network));
    for (std::size_t i = 0; i < batch.inputs.back().size(); ++i) {
      batch.values.push_back(static_cast<std::int16_t>(batch.inputs.back().to_int64(i)));
    }
  }
  return batch;
}

}  // namespace

TEST_CASE("the fast evaluator equals the exact one where it says so", "[models]") {
  test::SeededRng rng(51);
  int exact_networks = 0;
  for (int round = 0; round < 120; ++round) {
    test::RandomNetworkOptions options;
    options.max_weight = round % 2 == 0 ? 7 : 100;
    const IntegerNetwork network = test::random_network(rng, options);
    const FastEvaluator fast(network);
    if (!fast.is_exact()) continue;
    ++exact_networks;
    const auto count = static_cast<std::size_t>(rng.between(1, 20));  // also no multiple of a batch
    const Batch batch = random_batch(rng, network, count);
    const std::vector<double> logits = fast.run(batch.values, count);
    const auto outputs = static_cast<std::size_t>(network.output().shape.size());
    REQUIRE(logits.size() == count * outputs);
    for (std::size_t k = 0; k < count; ++k) {
      const WideVector expected = evaluate(network, batch.inputs[k]);
      for (std::size_t i = 0; i < outputs; ++i) {
        INFO("round " << round << ", image " << k << ", output " << i);
        REQUIRE(logits[k * outputs + i] == static_cast<double>(expected.to_int64(i)));
      }
    }
  }
  REQUIRE(exact_networks > 60);
}

TEST_CASE("the fast evaluator says when it is not exact and stays close", "[models]") {
  test::SeededRng rng(52);
  test::RandomNetworkOptions options;
  options.max_weight = 2'000'000'000;
  options.kinds = {NodeKind::dense, NodeKind::conv2d, NodeKind::relu, NodeKind::flatten};
  int inexact_networks = 0;
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng, options);
    const FastEvaluator fast(network);
    if (fast.is_exact()) continue;
    ++inexact_networks;
    const Batch batch = random_batch(rng, network, 1);
    const std::vector<double> logits = fast.run(batch.values, 1);
    const WideVector expected = evaluate(network, batch.inputs[0]);
    const double most = std::ldexp(1.0, static_cast<int>(network.output().bounds.bits));
    for (std::size_t i = 0; i < logits.size(); ++i) {
      REQUIRE(std::abs(logits[i] - expected.to_double(i)) <= most * 1e-12);
    }
  }
  REQUIRE(inexact_networks > 20);
}

TEST_CASE("the fast evaluator refuses half an input and values beyond double", "[models]") {
  test::SeededRng rng(53);
  const IntegerNetwork network = test::random_network(rng);
  const FastEvaluator fast(network);
  const auto size = static_cast<std::size_t>(network.input().shape.size());
  REQUIRE(fast.run({}, 0).empty());
  REQUIRE_THROWS_AS(fast.run(std::vector<std::int16_t>(size + 1), 1), InputError);
  REQUIRE_THROWS_AS(fast.run(std::vector<std::int16_t>(size), 2), InputError);
  test::RandomNetworkOptions deep;
  deep.bias_bits = 1500;
  const IntegerNetwork large = test::random_network(rng, deep);
  REQUIRE_THROWS_AS(FastEvaluator(large), InputError);
}
