// From exact integer networks to requantised ones.
#include "compress/quantisation/requantisation.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::models;
using popcorn::compress::RequantisationOptions;
using popcorn::compress::requantise;
using popcorn::compress::RequantisedNetwork;

namespace {

std::vector<WideVector> random_inputs(test::SeededRng& rng, const IntegerNetwork& network,
                                      std::size_t count) {
  std::vector<WideVector> inputs;
  for (std::size_t k = 0; k < count; ++k) inputs.push_back(test::random_input(rng, network));
  return inputs;
}

/// All kinds but sign, at which a small difference becomes a large one.
test::RandomNetworkOptions smooth_kinds() {
  test::RandomNetworkOptions options;
  options.nonzero_percent = 80;
  options.kinds = {NodeKind::dense,      NodeKind::conv2d, NodeKind::sum_pool2d,
                   NodeKind::max_pool2d, NodeKind::relu,   NodeKind::relu,
                   NodeKind::add,        NodeKind::concat, NodeKind::flatten};
  return options;
}

double real_output(const IntegerNetwork& network, const WideVector& output, std::size_t i) {
  const std::vector<double>& scale = network.output().scale;
  return output.to_double(i) * scale[scale.size() == 1 ? 0 : i];
}

/// Of all outputs on the inputs, in decibels.
double signal_to_noise(const IntegerNetwork& exact, const IntegerNetwork& network,
                       const std::vector<WideVector>& inputs) {
  double signal = 0, noise = 0;
  for (const WideVector& input : inputs) {
    const WideVector x = evaluate(exact, input);
    const WideVector y = evaluate(network, input);
    REQUIRE(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = real_output(exact, x, i);
      const double difference = real_output(network, y, i) - expected;
      signal += expected * expected;
      noise += difference * difference;
    }
  }
  return noise == 0 ? INFINITY : 10 * std::log10(signal / noise);
}

}  // namespace

TEST_CASE("random networks are requantised with little noise and nothing beyond range", "[requantise]") {
  test::SeededRng rng(81);
  for (int round = 0; round < 60; ++round) {
    IntegerNetwork exact = test::random_network(rng, smooth_kinds());
    for (Node& node : exact.nodes) node.scale = {1.0};
    exact.finish();
    const std::vector<WideVector> inputs = random_inputs(rng, exact, 24);
    RequantisationOptions options;
    options.activation_bits = 12;
    const RequantisedNetwork result = requantise(exact, inputs, options);
    INFO("round " << round);
    RangeCounts counts(result.network);
    for (const WideVector& input : inputs) evaluate(result.network, input, {Rounding(), 0, &counts});
    CHECK(counts.beyond() == 0);
    CHECK(signal_to_noise(exact, result.network, inputs) > 20);
    CHECK(result.network.output().bounds.bits < Limits::kRingBits);
    const Bytes file = serialise_network(result.network);
    CHECK(serialise_network(parse_network(file)) == file);
  }
}

TEST_CASE("more activation bits, less noise; small values", "[requantise]") {
  test::SeededRng rng(82);
  double before = 0, after = 0;
  for (int round = 0; round < 20; ++round) {
    const IntegerNetwork exact = test::random_network(rng, smooth_kinds());
    const std::vector<WideVector> inputs = random_inputs(rng, exact, 16);
    RequantisationOptions options;
    options.activation_bits = 5;
    before += std::min(200.0, signal_to_noise(exact, requantise(exact, inputs, options).network, inputs));
    options.activation_bits = 9;
    const RequantisedNetwork finer = requantise(exact, inputs, options);
    after += std::min(200.0, signal_to_noise(exact, finer.network, inputs));
    for (const Node& node : finer.network.nodes) {
      if (node.kind != NodeKind::rescale) continue;
      INFO("round " << round << ", node " << node.name);
      CHECK(node.bounds.bits <= 9 + 6);  // percentile, margin, a wider negative tail
    }
  }
  CHECK(after > before);
}

TEST_CASE("bits of single steps", "[requantise]") {
  test::SeededRng rng(83);
  test::RandomNetworkOptions kinds;
  kinds.kinds = {NodeKind::conv2d, NodeKind::relu};
  const IntegerNetwork exact = test::random_network(rng, kinds);
  const std::vector<WideVector> inputs = random_inputs(rng, exact, 8);
  std::string relu;
  for (const Node& node : exact.nodes) relu = node.kind == NodeKind::relu ? node.name : relu;
  REQUIRE(!relu.empty());
  RequantisationOptions options;
  options.layers = {{relu, 3}};
  const IntegerNetwork network = requantise(exact, inputs, options).network;
  const IntegerNetwork wider = requantise(exact, inputs).network;
  const Node& own = network.nodes[*network.find(relu)];
  const Node& other = wider.nodes[*wider.find(relu)];
  CHECK(own.shift(0) > other.shift(0));
  options.layers = {{"nobody", 3}};
  CHECK_THROWS_AS(requantise(exact, inputs, options), UsageError);
  options.layers = {{relu, 1}};
  CHECK_THROWS_AS(requantise(exact, inputs, options), UsageError);
  options.layers = {};
  options.activation_bits = 17;
  CHECK_THROWS_AS(requantise(exact, inputs, options), UsageError);
  CHECK_THROWS_AS(requantise(exact, {}), UsageError);
  CHECK_THROWS_AS(requantise(network, inputs), UsageError);
}
