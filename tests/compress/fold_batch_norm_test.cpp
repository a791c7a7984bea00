#include "compress/fold_batch_norm.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compress/executor.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

std::size_t normalisations(const FloatGraph& graph) {
  return static_cast<std::size_t>(std::count_if(
      graph.nodes.begin(), graph.nodes.end(),
      [](const FloatNode& n) { return n.kind == FloatKind::batch_norm || n.kind == FloatKind::affine; }));
}

FloatNode affine(const std::string& name, std::vector<std::size_t> inputs, std::vector<float> gamma,
                 std::vector<float> beta) {
  FloatNode node;
  node.kind = FloatKind::affine;
  node.name = name;
  node.inputs = std::move(inputs);
  node.gamma = std::move(gamma);
  node.beta = std::move(beta);
  return node;
}

}  // namespace

TEST_CASE("folding keeps the function and leaves no normalisation") {
  test::SeededRng rng(1);
  std::size_t folded = 0;
  for (int round = 0; round < 60; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, true, true, true, false});
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 4);
    const std::vector<float> expected = logits(graph, pictures);
    folded += normalisations(graph);
    fold_batch_norm(graph);
    CHECK(normalisations(graph) == 0);
    CHECK(test::relative_difference(logits(graph, pictures), expected) < 1e-4);
  }
  CHECK(folded > 30);
}

TEST_CASE("a map behind many sums of the same value is folded at once") {
  FloatGraph graph;
  FloatNode input;
  input.name = "input";
  input.shape = {2, 3, 3};
  graph.mean = {0, 0};
  graph.deviation = {1, 1};
  FloatNode layer;
  layer.kind = FloatKind::conv2d;
  layer.name = "conv";
  layer.inputs = {0};
  layer.weights = {1, -1, -1, 1};
  layer.bias = {0, 0};
  layer.grid.codebook = {-1, 1};
  graph.nodes = {input, layer};
  for (std::size_t i = 0; i < 60; ++i) {  // 2⁶⁰ paths
    FloatNode sum;
    sum.kind = FloatKind::add;
    sum.name = "sum" + std::to_string(i);
    sum.inputs = {i + 1, i + 1};
    graph.nodes.push_back(sum);
  }
  graph.nodes.push_back(affine("map", {graph.nodes.size() - 1}, {2, -2}, {1, 1}));
  FloatNode sign;
  sign.kind = FloatKind::sign;
  sign.name = "sign";
  sign.inputs = {graph.nodes.size() - 1};
  graph.nodes.push_back(sign);
  graph.finish();
  fold_batch_norm(graph);
  CHECK(graph.nodes[62].grid.codebook == std::vector<std::int32_t>{-1, 1});  // a threshold
}

TEST_CASE("an affine map on the input becomes its normalisation") {
  test::SeededRng rng(2);
  for (const bool negative : {false, true}) {
    FloatGraph graph;
    FloatNode input;
    input.name = "input";
    input.shape = {2, 3, 3};
    graph.mean = {0.1, 0.2};
    graph.deviation = {0.5, 2};
    FloatNode flatten, dense;
    flatten.kind = FloatKind::flatten;
    flatten.name = "flatten";
    flatten.inputs = {1};
    dense.kind = FloatKind::dense;
    dense.name = "dense";
    dense.inputs = {2};
    dense.weights = test::random_floats(rng, 36);
    dense.bias = {0.5F, -0.5F};
    graph.nodes = {input, affine("normalise", {0}, {3, negative ? -1.0F : 2.0F}, {0.25F, -1}), flatten,
                   dense};
    graph.finish();
    const Dataset pictures = test::random_pictures(rng, input.shape, 5);
    const std::vector<float> expected = logits(graph, pictures);
    fold_batch_norm(graph);
    CHECK(graph.nodes.size() == 3);  // a negative factor goes through the flatten into the dense layer
    CHECK(graph.deviation[0] == Approx(negative ? 0.5 : 0.5 / 3));
    CHECK(test::relative_difference(logits(graph, pictures), expected) < 1e-5);
  }
}
