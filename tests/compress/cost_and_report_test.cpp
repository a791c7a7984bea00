#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "compress/cost_budget.h"
#include "compress/fold_batch_norm.h"
#include "compress/lowering.h"
#include "compress/report.h"
#include "protocols/session/cost_prediction.h"
#include "tests/compress/random_graph.h"
#include "tests/protocols/parties.h"
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

TEST_CASE("costs are what an inference of the network takes") {
  test::SeededRng rng(4);
  for (int round = 0; round < 12; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, round % 3 == 0, round % 2 == 0, true, false});
    fold_batch_norm(graph);
    quantise(graph, {});
    const models::IntegerNetwork network = lower(graph);
    CostSettings settings;
    settings.key_bits = test::fitting_key_bits(network);
    if (round % 4 == 0) settings.sign_test = "blinded";
    const NetworkCost found = network_cost(network, settings);
    protocols::SessionOptions options;
    options.sign_test = settings.sign_test;
    const test::Transcript ran =
        test::run_inference(protocols::ServedModel::create(network), test::party(settings.key_bits),
                            test::random_input(rng, network), rng, options);
    const auto bytes = [](const std::vector<Bytes>& messages) {
      std::uint64_t sum = 0;
      for (const Bytes& message : messages) sum += message.size();
      return sum;
    };
    CAPTURE(round, settings.key_bits);
    CHECK(found.problem.empty());
    CHECK(found.total.multiplications == ran.counts.multiplications);
    CHECK(found.total.bytes_up == bytes(ran.up));
    CHECK(found.total.bytes_down == bytes(ran.down));
    CHECK(found.nodes.size() == network.nodes.size());
  }
}

TEST_CASE("a network whose values no key holds has the cost of its linear layers") {
  models::IntegerNetwork network = small_network();
  network.nodes[1].weights.assign(8, 1 << 30);
  network.nodes[1].bias = WideVector(2, 40);
  for (std::size_t o = 0; o < 2; ++o) network.nodes[1].bias.set_decimal(o, "1" + std::string(740, '0'));
  network.finish();
  const NetworkCost cost = network_cost(network, {2048, "oblivious"});
  CHECK_FALSE(cost.problem.empty());
  CHECK(cost.nodes[1].multiplications > 0);
  CHECK(cost.total.bytes_up == 0);
}

namespace {

/// Multiplications of the layers that pruning makes cheaper, and of everything else.
std::pair<std::uint64_t, std::uint64_t> layers_and_rest(const FloatGraph& graph, PruningOptions pruning,
                                                        const QuantisationOptions& quantisation,
                                                        double sparsity) {
  FloatGraph compressed = graph;
  pruning.sparsity = sparsity;
  prune(compressed, pruning);
  quantise(compressed, quantisation);
  const models::IntegerNetwork network = lower(compressed);
  const NetworkCost cost = network_cost(network);
  std::uint64_t layers = 0;
  for (std::size_t i = 0; i < network.nodes.size(); ++i)
    layers += network.nodes[i].weights.empty() ? 0 : cost.nodes[i].multiplications;
  return {layers, cost.total.multiplications - layers};
}

}  // namespace

TEST_CASE("pruning for a budget stays within it and takes no more than that needs") {
  test::SeededRng rng(1);
  int pruned = 0;
  for (int round = 0; round < 12; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, round % 3 == 0, round % 2 == 0, true, false});
    fold_batch_norm(graph);
    PruningOptions pruning;
    pruning.cost_exponent = 1;
    QuantisationOptions quantisation;
    quantisation.bits = static_cast<int>(rng.between(2, 5));
    const auto [layers, rest] = layers_and_rest(graph, pruning, quantisation, 0);
    const std::uint64_t target = rest + layers / 2;
    double sparsity = 0;
    try {
      sparsity = sparsity_for_cost(graph, pruning, quantisation, target);
    } catch (const UsageError& error) {  // the layers' fixed part alone may need more
      CHECK(error.code() == "cost.target");
      continue;
    }
    ++pruned;
    const auto [left, other] = layers_and_rest(graph, pruning, quantisation, sparsity);
    CHECK(left + other <= target);
    CHECK(sparsity > 0);
    CHECK(sparsity_for_cost(graph, pruning, quantisation, 100 * (rest + layers)) == 0);
    CHECK(sparsity_for_cost(graph, pruning, quantisation, target + target / 10) <= sparsity);
  }
  CHECK(pruned >= 4);
}

TEST_CASE("a budget knows that rows of few values share products") {
  test::SeededRng rng(2);
  std::vector<float> weights = test::random_floats(rng, 64 * 200);
  const FloatGraph graph = test::dense_graph({1, 8, 8}, std::move(weights), test::random_floats(rng, 200));
  QuantisationOptions binary;
  binary.kind = GridKind::binary;
  const auto [layers, rest] = layers_and_rest(graph, {}, binary, 0);
  CHECK(layers < 64 * 200 / 2);
  CHECK(sparsity_for_cost(graph, {}, binary, layers + rest) == 0);
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
