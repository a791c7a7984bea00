// Networks with weights of ±1 and sign activations, from the zoo's layer lists to integers.
#include <algorithm>
#include <catch2/catch.hpp>

#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/integer_accuracy.h"
#include "compress/lowering.h"
#include "compress/onnx/onnx_export.h"
#include "compress/onnx/onnx_import.h"
#include "compress/quantisation/quantisation.h"
#include "compress/zoo_graph.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

models::ZooNetwork binary_network(test::SeededRng& rng) {
  models::ZooNetwork network;
  network.name = "binary";
  network.binary_weights = true;
  network.encoding.shape = {1, rng.between(6, 9), rng.between(6, 9)};
  network.encoding.offset = {0};
  using Kind = models::ZooLayer::Kind;
  models::Window kernel, pool;
  kernel.kernel_height = kernel.kernel_width = 3;
  pool.kernel_height = pool.kernel_width = pool.stride_height = pool.stride_width = 2;
  network.layers = {{Kind::conv2d, "conv", rng.between(1, 5), kernel},
                    {Kind::batch_norm, "norm1", 0, {}},
                    {Kind::sign, "sign1", 0, {}},
                    {Kind::max_pool2d, "pool", 0, pool},
                    {Kind::flatten, "flatten", 0, {}},
                    {Kind::dense, "fc1", rng.between(3, 9), {}},
                    {Kind::batch_norm, "norm2", 0, {}},
                    {Kind::sign, "sign2", 0, {}},
                    {Kind::dense, "fc2", 3, {}}};
  if (rng.between(0, 1) == 1) {  // sums instead of maxima, before the threshold
    network.layers[3].kind = Kind::average_pool2d;
    std::rotate(network.layers.begin() + 1, network.layers.begin() + 3, network.layers.begin() + 4);
  }
  return network;
}

/// Shortcuts of real values around two convolutions: a sum, then a join behind a pool.
models::ZooNetwork binary_residual_network(test::SeededRng& rng) {
  models::ZooNetwork network;
  network.name = "binary";
  network.binary_weights = true;
  network.logit_gain = 0.25;
  network.encoding.shape = {rng.between(1, 3), 8, 8};
  network.encoding.offset = {0};
  using Kind = models::ZooLayer::Kind;
  const models::Window same = models::square_window(3, 1, 1), half = models::square_window(2, 2, 0);
  const std::int64_t channels = rng.between(1, 4);
  network.layers = {{Kind::conv2d, "conv1", channels, models::square_window(4, 2, 1)},
                    {Kind::batch_norm, "norm2", 0, {}},
                    {Kind::sign, "sign2", 0, {}},
                    {Kind::conv2d, "conv2", channels, same},
                    {Kind::add, "sum", 0, {}, {"conv1", "conv2"}},
                    {Kind::average_pool2d, "pool", 0, half},
                    {Kind::batch_norm, "norm3", 0, {}},
                    {Kind::sign, "sign3", 0, {}},
                    {Kind::conv2d, "conv3", rng.between(1, 4), same},
                    {Kind::concat, "join", 0, {}, {"pool", "conv3"}},
                    {Kind::batch_norm, "norm", 0, {}},
                    {Kind::sign, "sign", 0, {}},
                    {Kind::flatten, "flatten", 0, {}},
                    {Kind::dense, "fc", 3, {}}};
  return network;
}

void randomise(FloatGraph& graph, test::SeededRng& rng) {
  for (FloatNode& node : graph.nodes) {
    if (node.has_weights()) node.bias = test::random_floats(rng, node.bias.size());
    if (node.kind != FloatKind::batch_norm) continue;
    const std::size_t channels = node.gamma.size();
    node.gamma = test::random_floats(rng, channels, -2, 2);
    node.beta = test::random_floats(rng, channels);
    node.mean = test::random_floats(rng, channels, -0.5F, 0.5F);
    node.variance = test::random_floats(rng, channels, 0.1F, 2);
    if (rng.between(0, 3) == 0) node.gamma.front() = 0;
  }
}

std::int64_t largest(const std::vector<std::int64_t>& values) {
  return values.empty() ? 1 : *std::max_element(values.begin(), values.end());
}

}  // namespace

TEST_CASE("binary networks become thresholds on integers, with the same outputs") {
  test::SeededRng rng(1);
  std::size_t same = 0, all = 0;
  for (int round = 0; round < 80; ++round) {
    const models::ZooNetwork zoo = round % 2 == 0 ? binary_network(rng) : binary_residual_network(rng);
    FloatGraph graph = build_zoo_graph(zoo, static_cast<std::uint64_t>(round));
    randomise(graph, rng);
    for (FloatNode& node : graph.nodes) {  // biases before a sum are rounded to the units of their layers
      if (zoo.logit_gain != 1 && node.kind == FloatKind::conv2d) {
        std::fill(node.bias.begin(), node.bias.end(), 0.0F);
      }
    }
    graph = parse_onnx(serialise_onnx(graph), "binary.onnx");
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 10);
    const std::vector<float> expected = logits(graph, pictures);
    fold_batch_norm(graph);
    for (const FloatNode& node : graph.nodes) {
      CHECK(node.kind != FloatKind::affine);
      if (node.has_weights()) CHECK(node.grid.codebook == std::vector<std::int32_t>{-1, 1});
    }
    quantise(graph, {});
    const models::IntegerNetwork network = lower(graph);
    CHECK(network.nonzeros() == network.weights());
    for (const models::Node& node : network.nodes) {
      if (!node.weights.empty()) CHECK(node.magnitudes() == std::vector<std::int32_t>{1});
      if (node.kind == models::NodeKind::add)
        CHECK(largest(node.multipliers) <= 1020);  // 255 and powers of two
    }
    for (std::size_t i = 0; i < pictures.count(); ++i, ++all) {
      const std::vector<std::int16_t> values = integer_inputs(network, pictures, i, 1);
      const WideVector input =
          WideVector::from_int64(std::vector<std::int64_t>(values.begin(), values.end()));
      const WideVector found = models::evaluate(network, input);
      bool equal = true;
      for (std::size_t k = 0; k < found.size(); ++k) {
        const double value = found.to_double(k) * network.output().scale.front();
        // The output layer's bias is rounded to its unit.
        equal = equal && std::abs(value - static_cast<double>(expected[i * found.size() + k])) <=
                             0.51 * network.output().scale.front();
      }
      same += equal ? 1 : 0;
    }
  }
  CHECK(same >= all - 2);  // a float sum may land on the other side of a threshold
}
