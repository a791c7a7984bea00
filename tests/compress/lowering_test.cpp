#include "compress/lowering.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/integer_accuracy.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/quantisation.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

WideVector input_of(const models::IntegerNetwork& network, const Dataset& pictures, std::size_t index) {
  const std::vector<std::int16_t> values = integer_inputs(network, pictures, index, 1);
  return WideVector::from_int64(std::vector<std::int64_t>(values.begin(), values.end()));
}

FloatGraph quantised_graph(test::SeededRng& rng, const test::GraphKinds& kinds, int bits) {
  FloatGraph graph = test::random_graph(rng, kinds);
  fold_batch_norm(graph);
  PruningOptions pruning;
  pruning.sparsity = 0.3;
  prune(graph, pruning);
  QuantisationOptions options;
  options.bits = bits;
  quantise(graph, options);
  return graph;
}

/// The integer layers as a float graph, run by LibTorch in double precision on the integer input.
std::vector<double> integers_by_libtorch(FloatGraph graph, const models::IntegerNetwork& network,
                                         const WideVector& input) {
  for (FloatNode& node : graph.nodes) {
    if (!node.has_weights()) continue;
    const models::Node& layer = network.nodes[network.find(node.name).value()];
    for (std::size_t i = 0; i < node.weights.size(); ++i)
      node.weights[i] = static_cast<float>(layer.weights[i]);
    for (std::size_t o = 0; o < node.bias.size(); ++o) {
      REQUIRE(std::abs(layer.bias.to_double(o)) < 0x1p24);  // exact as a float
      node.bias[o] = static_cast<float>(layer.bias.to_double(o));
    }
    node.mask.clear();
    node.grid = {};
    node.gain = 1;
  }
  std::vector<double> values(input.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = input.to_double(i);
  return Executor(graph, Executor::Precision::double_precision).run(std::span<const double>(values), 1);
}

}  // namespace

TEST_CASE("the lowered network computes the float network with quantised weights") {
  test::SeededRng rng(1);
  for (int round = 0; round < 80; ++round) {
    const bool branches = round % 2 == 0;
    const FloatGraph graph =
        quantised_graph(rng, {true, round % 3 == 0, branches, true, false}, 3 + round % 5);
    const models::IntegerNetwork network = lower(graph);
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 3);
    const std::vector<float> expected = logits(graph, pictures);
    std::vector<float> found;
    for (std::size_t i = 0; i < pictures.count(); ++i) {
      const WideVector result = models::evaluate(network, input_of(network, pictures, i));
      const double scale = network.output().scale.front();
      for (std::size_t k = 0; k < result.size(); ++k)
        found.push_back(static_cast<float>(result.to_double(k) * scale));
    }
    // Biases are rounded to units of about 1/255; multipliers of a sum are good to a share of 1e-4.
    CHECK(test::relative_difference(found, expected) < 0.03);
  }
}

TEST_CASE("integer layers agree bit for bit with LibTorch in double precision") {
  test::SeededRng rng(2);
  int checked = 0;
  for (int round = 0; round < 40; ++round) {
    const FloatGraph graph = quantised_graph(rng, {false, false, false, false, false}, 4);
    const models::IntegerNetwork network = lower(graph);
    if (network.output().bounds.bits > 50) continue;
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 2);
    for (std::size_t i = 0; i < pictures.count(); ++i) {
      const WideVector input = input_of(network, pictures, i);
      const WideVector result = models::evaluate(network, input);
      const std::vector<double> expected = integers_by_libtorch(graph, network, input);
      REQUIRE(result.size() == expected.size());
      for (std::size_t k = 0; k < expected.size(); ++k)
        CHECK(static_cast<double>(result.to_int64(k)) == expected[k]);
      ++checked;
    }
  }
  CHECK(checked > 20);
}

TEST_CASE("a lowered network survives its file") {
  test::SeededRng rng(3);
  for (int round = 0; round < 10; ++round) {
    const models::IntegerNetwork network = lower(quantised_graph(rng, {true, true, true, true, false}, 4));
    const Bytes file = models::serialise_network(network);
    CHECK(models::serialise_network(models::parse_network(file)) == file);
  }
}

TEST_CASE("weights stay within their bits and pruned ones are zero") {
  test::SeededRng rng(4);
  for (int bits = 2; bits <= 8; ++bits) {
    const FloatGraph graph = quantised_graph(rng, {}, bits);
    const models::IntegerNetwork network = lower(graph);
    for (const FloatNode& node : graph.nodes) {
      if (!node.has_weights()) continue;
      const models::Node& layer = network.nodes[network.find(node.name).value()];
      CHECK(layer.weight_bits() <= static_cast<unsigned>(bits));
      CHECK(layer.nonzeros() <= node.kept());
    }
  }
}

TEST_CASE("large biases keep their leading bits") {
  FloatGraph graph;
  FloatNode input, dense;
  input.name = "input";
  input.shape = {2, 1, 1};
  graph.mean = {0, 0};
  graph.deviation = {1, 1};
  dense.kind = FloatKind::dense;
  dense.name = "dense";
  dense.inputs = {0};
  dense.weights = {1, 0, 0, 1};
  dense.bias = {1e30F, -3e25F};
  dense.grid.levels = 1;
  graph.nodes = {input, dense};
  graph.encoding.shape = input.shape;
  graph.finish();
  const models::IntegerNetwork network = lower(graph);
  const WideVector& bias = network.nodes[network.find("dense").value()].bias;
  CHECK(bias.to_double(0) == Approx(1e30 * 255));
  CHECK(bias.to_double(1) == Approx(-3e25 * 255));
}

TEST_CASE("what has no integer form is refused by name") {
  test::SeededRng rng(5);
  FloatGraph graph = test::random_graph(rng);
  CHECK_THROWS_AS(lower(graph), InputError);  // never quantised
  try {
    lower(graph);
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find('"') != std::string::npos);
  }
}
