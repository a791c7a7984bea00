#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "compress/cost_budget.h"
#include "compress/fold_batch_norm.h"
#include "compress/lowering.h"
#include "compress/report.h"
#include "tests/compress/random_graph.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

models::IntegerNetwork small_network() {
  models::IntegerNetwork network;
  network.name = "small";
  network.encoding.shape = {1, 4, 4};
  models::Node input, conv, relu, output;
  input.name = "input";
  input.shape = {1, 4, 4};
  conv.kind = models::NodeKind::conv2d;
  conv.name = "conv";
  conv.inputs = {0};
  conv.shape.channels = 2;
  conv.window.kernel_height = conv.window.kernel_width = 2;
  conv.weights = {3, 0, 0, -1, 0, 0, 0, 1};
  conv.bias = WideVector(2, 1);
  relu.kind = models::NodeKind::relu;
  relu.name = "relu";
  relu.inputs = {1};
  output.kind = models::NodeKind::output;
  output.name = "output";
  output.inputs = {2};
  conv.shape = {2, 3, 3};
  relu.shape = output.shape = conv.shape;
  network.nodes = {input, conv, relu, output};
  network.finish();
  return network;
}

}  // namespace

TEST_CASE("the cost of a small network, counted by hand") {
  const models::IntegerNetwork network = small_network();
  // Row 1: two non-zeros, magnitude 3 walks two further units; row 2: one non-zero. Nine positions.
  CHECK(node_cost(network, 1).multiplications == 9 * (2 + 2 + 1));
  CHECK(dense_multiplications(network.nodes[1]) == 9 * (8 + 2 * 126));
  CHECK(node_cost(network, 0).ciphertexts_up == 16);
  CHECK(node_cost(network, 2).ciphertexts_up == 2 * 18);
  CHECK(node_cost(network, 3).ciphertexts_down == 18);
  // 11 bits bound: a slot of 2·12 + 4 + 40 + 128 bits; ten of them in 2046 bits.
  CHECK(network.nodes[1].bounds.bits == 10);
  CHECK(node_cost(network, 2).ciphertexts_down == 2);
  CHECK(ciphertext_bytes() == 512);
}

TEST_CASE("pruning for a budget stays within it and takes no more than that needs") {
  test::SeededRng rng(1);
  for (int round = 0; round < 12; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, round % 3 == 0, round % 2 == 0, true, false});
    fold_batch_norm(graph);
    PruningOptions pruning;
    pruning.cost_exponent = 1;
    QuantisationOptions quantisation;
    quantisation.bits = static_cast<int>(rng.between(2, 5));
    const auto cost = [&](double sparsity) {
      FloatGraph compressed = graph;
      pruning.sparsity = sparsity;
      prune(compressed, pruning);
      quantise(compressed, quantisation);
      return network_cost(lower(compressed)).multiplications;
    };
    const std::uint64_t whole = cost(0), target = whole - whole / 4;
    double sparsity = 0;
    try {
      sparsity = sparsity_for_cost(graph, pruning, quantisation, target);
    } catch (const UsageError& error) {  // sums and pools alone may need more
      CHECK(error.code() == "cost.target");
      continue;
    }
    CHECK(cost(sparsity) <= target);
    CHECK(sparsity > 0);
    CHECK(sparsity_for_cost(graph, pruning, quantisation, 100 * whole) == 0);
    CHECK(sparsity_for_cost(graph, pruning, quantisation, target + target / 10) <= sparsity);
  }
}

TEST_CASE("a report adds up and its JSON has the documented members") {
  CompressionResult result;
  result.network = small_network();
  result.float_accuracy = 0.99;
  result.integer_accuracy = 0.98;
  result.test_images = 100;
  const CompressionReport report = make_report(result, 1234);
  CHECK(report.weights == 8);
  CHECK(report.nonzeros == 3);
  CHECK(report.density == Approx(0.375));
  CHECK(report.weight_bits == 3);
  std::uint64_t multiplications = 0;
  for (const LayerReport& layer : report.layers) multiplications += layer.cost.multiplications;
  CHECK(report.cost.multiplications == multiplications);
  const auto json = nlohmann::json::parse(report_json(report));
  for (const char* key : {"model", "accuracy", "weights", "nonzeros", "density", "weight_bits", "file_bytes",
                          "multiplications_before", "multiplications", "bytes_up", "bytes_down", "layers"}) {
    INFO(key);
    CHECK(json.contains(key));
  }
  CHECK(json["accuracy"]["integer"] == 0.98);
  CHECK(json["layers"][1]["magnitudes"] == 2);
  CHECK(json["layers"].size() == 4);
}
