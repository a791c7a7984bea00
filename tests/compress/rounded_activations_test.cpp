// Quantisation with rounded activations: the float graph rounds as the requantised network does.
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/integer_accuracy.h"
#include "compress/lowering.h"
#include "compress/quantisation/calibration.h"
#include "compress/quantisation/quantisation.h"
#include "compress/quantisation/ring_fitting.h"
#include "compress/share_budget.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/shares/share_estimate.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

struct Case {
  FloatGraph exact, rounded;
  Dataset pictures;
};

Case random_case(test::SeededRng& rng, const test::GraphKinds& kinds, int activation_bits) {
  for (;;) {
    FloatGraph graph = test::random_graph(rng, kinds);
    fold_batch_norm(graph);
    if (!can_round_activations(graph)) continue;
    Case result{graph, graph, test::random_pictures(rng, graph.input().shape, 8)};
    const Calibration calibration(graph, result.pictures);
    QuantisationOptions options;
    options.bits = 8;
    options.activation_bits = activation_bits;
    quantise(result.rounded, options, nullptr, nullptr,
             [&](const FloatGraph& now, std::size_t node) { return calibration.ranges(now, node); });
    return result;
  }
}

std::vector<float> real_outputs(const models::IntegerNetwork& network, const Dataset& pictures) {
  const std::vector<double> values = models::FastEvaluator(network).run(
      integer_inputs(network, pictures, 0, pictures.count()), pictures.count());
  std::vector<float> result;
  for (const double value : values)
    result.push_back(static_cast<float>(value * network.output().scale.front()));
  return result;
}

}  // namespace

TEST_CASE("the lowered network rounds as the graph does") {
  test::SeededRng rng(91);
  for (int round = 0; round < 60; ++round) {
    const Case c = random_case(rng, {true, round % 3 == 0, round % 2 == 0, true, false}, 10);
    models::IntegerNetwork network = lower(c.rounded);
    REQUIRE(network.is_requantised());
    // A bias that is rounded to a whole number moves some values to the next unit.
    const std::vector<float> expected = logits(c.rounded, c.pictures);
    CHECK(test::relative_difference(real_outputs(network, c.pictures), expected) < 0.04);
    const std::vector<double> before = models::FastEvaluator(network).run(
        integer_inputs(network, c.pictures, 0, c.pictures.count()), c.pictures.count());
    fit_rings(network, integer_inputs(network, c.pictures, 0, c.pictures.count()), c.pictures.count());
    models::RangeCounts counts(network);
    models::ValueExtremes extremes(network);
    const std::vector<double> after =
        models::FastEvaluator(network).run(integer_inputs(network, c.pictures, 0, c.pictures.count()),
                                           c.pictures.count(), {models::Rounding(), 0, &counts, &extremes});
    CHECK(before == after);
    CHECK(counts.beyond() == 0);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      if (network.nodes[i].ring_bits == 0) continue;
      INFO(network.nodes[i].name);
      // Room for 1.6 times the largest, and not for 3.3 times.
      const double half = std::ldexp(1.0, static_cast<int>(network.nodes[i].ring_bits) - 1);
      const auto largest = static_cast<double>(extremes.largest_magnitude(i));
      CHECK(1.6 * largest < half);
      CHECK(2 * (std::ceil(1.6 * largest) + 1) >= half / 2);
    }
  }
}

TEST_CASE("more activation bits, closer to the float network") {
  test::SeededRng rng(92);
  double coarse = 0, fine = 0;
  for (int round = 0; round < 12; ++round) {
    test::SeededRng same(static_cast<unsigned>(1000 + round));
    const Case few = random_case(same, {false, false, true, true, false}, 3);
    test::SeededRng again(static_cast<unsigned>(1000 + round));
    const Case many = random_case(again, {false, false, true, true, false}, 10);
    coarse += test::relative_difference(logits(few.rounded, few.pictures), logits(few.exact, few.pictures));
    fine += test::relative_difference(logits(many.rounded, many.pictures), logits(many.exact, many.pictures));
  }
  CHECK(fine < coarse / 2);
}

TEST_CASE("activations get fewer bits until the bytes on shares fit") {
  test::SeededRng rng(94);
  int reached = 0;
  for (int round = 0; round < 6; ++round) {
    const Case c = random_case(rng, {false, false, round % 2 == 0, true, false}, 10);
    const auto bytes = [&](const QuantisationOptions& quantisation) {
      FloatGraph graph = c.exact;
      const Calibration calibration(c.exact, c.pictures);
      quantise(graph, quantisation, nullptr, nullptr,
               [&](const FloatGraph& now, std::size_t node) { return calibration.ranges(now, node); });
      models::IntegerNetwork network = lower(graph);
      fit_rings(network, integer_inputs(network, c.pictures, 0, c.pictures.count()), c.pictures.count());
      return protocols::estimate_shares(network).all.bytes();
    };
    QuantisationOptions options;
    options.bits = 6;
    options.activation_bits = 10;
    const std::uint64_t most = bytes(options);
    options.activation_bits = kLeastActivationBits;
    const std::uint64_t least = bytes(options);
    options.activation_bits = 10;
    PruningOptions pruning;
    CHECK_THROWS_AS(fit_share_budget(c.exact, c.pictures, {std::nullopt, 1}, pruning, options), UsageError);
    const std::uint64_t wanted = (3 * most + least) / 4;
    try {
      fit_share_budget(c.exact, c.pictures, {std::nullopt, wanted}, pruning, options);
    } catch (const UsageError& error) {  // rings are estimated bit by bit: the last bytes may be out of reach
      CHECK(error.code() == "cost.target");
      continue;
    }
    ++reached;
    REQUIRE_FALSE(options.activations.empty());
    for (const LayerBits& layer : options.activations) {
      CHECK(layer.bits >= kLeastActivationBits);
      CHECK(layer.bits <= 10);
    }
    CHECK(static_cast<double>(bytes(options)) < 1.03 * static_cast<double>(wanted));
  }
  CHECK(reached >= 3);
}

TEST_CASE("activation bits that cannot be are refused") {
  test::SeededRng rng(93);
  FloatGraph graph = test::random_graph(rng);
  const RangeSource none = [](const FloatGraph& g, std::size_t node) {
    return std::vector<ChannelRange>(
        static_cast<std::size_t>(g.nodes[g.nodes[node].inputs.front()].shape.channels));
  };
  QuantisationOptions options;
  options.activation_bits = 17;
  CHECK_THROWS_AS(quantise(graph, options, nullptr, nullptr, none), UsageError);
  options.activation_bits = 8;
  CHECK_THROWS_AS(quantise(graph, options), UsageError);
  options.activations = {{"nobody", 8}};
  CHECK_THROWS_AS(quantise(graph, options, nullptr, nullptr, none), UsageError);
}
