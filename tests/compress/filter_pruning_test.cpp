#include "compress/pruning/filter_pruning.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/zoo_graph.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

TEST_CASE("filters that make nothing can go without a change of the function") {
  test::SeededRng rng(1);
  std::size_t smaller = 0;
  for (int round = 0; round < 40; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, round % 3 == 0, round % 2 == 0, true, true});
    fold_batch_norm(graph);
    // Of every layer the floor of a half is empty, at random places.
    for (FloatNode& node : graph.nodes) {
      if (!node.has_weights() || &node == &graph.output()) continue;
      const std::size_t outputs = node.bias.size(), row = node.weights.size() / outputs;
      for (std::size_t left = outputs / 2; left > 0;) {
        const std::size_t o = rng.below(outputs);
        if (node.bias[o] == 0) continue;
        node.bias[o] = 0;
        for (std::size_t k = o * row; k < (o + 1) * row; ++k) node.weights[k] = 0;
        --left;
      }
    }
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 4);
    const std::vector<float> expected = logits(graph, pictures);
    const std::uint64_t before = graph.weights();
    remove_filters(graph, 0.5);
    smaller += graph.weights() < before ? 1 : 0;
    CHECK(test::relative_difference(logits(graph, pictures), expected) < 1e-5);
  }
  CHECK(smaller > 20);
}

TEST_CASE("the least filters go, and layers before sums stay whole") {
  FloatGraph lenet = build_zoo_graph(models::zoo_network("mnist-lenet"), 1);
  for (FloatNode& node : lenet.nodes) {
    if (node.name != "conv1") continue;
    for (std::size_t i = 0; i < 25; ++i) node.weights[7 * 25 + i] = 0.001F;
    node.bias[7] = 42;
  }
  remove_filters(lenet, 0.1);
  for (const FloatNode& node : lenet.nodes) {
    if (node.name == "conv1") {
      CHECK(node.bias.size() == 18);
      CHECK(std::find(node.bias.begin(), node.bias.end(), 42.0F) == node.bias.end());
    }
    if (node.name == "conv2") CHECK(node.weights.size() == 45 * 18 * 25);
    if (node.name == "fc1") CHECK(node.weights.size() == 450 * 45 * 16);
    if (node.name == "fc2") CHECK(node.weights.size() == 10 * 450);
  }
  FloatGraph resnet = build_zoo_graph(models::zoo_network("cifar10-resnet20"), 1);
  fold_batch_norm(resnet);
  remove_filters(resnet, 0.5);
  for (const FloatNode& node : resnet.nodes) {
    if (node.name == "conv2.1a") CHECK(node.bias.size() == 16);
    if (node.name == "conv2.1b") CHECK(node.bias.size() == 32);
    if (node.name == "fc") CHECK(node.weights.size() == 640);
  }
  CHECK_THROWS_AS(remove_filters(resnet, 1), UsageError);
  CHECK_THROWS_AS(remove_filters(resnet, -0.1), UsageError);
}
