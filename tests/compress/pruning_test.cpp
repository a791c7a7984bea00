#include "compress/pruning/pruning.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

std::uint64_t expected_zeros(double sparsity, std::uint64_t weights) {
  return static_cast<std::uint64_t>(std::llround(sparsity * static_cast<double>(weights)));
}

}  // namespace

TEST_CASE("exactly the asked number of weights is pruned") {
  test::SeededRng rng(1);
  for (int round = 0; round < 40; ++round) {
    FloatGraph graph = test::random_graph(rng);
    PruningOptions options;
    options.sparsity = static_cast<double>(test::uniform(rng, 0, 0.99F));
    for (const PruningScope scope : {PruningScope::global, PruningScope::layer, PruningScope::adaptive}) {
      options.scope = scope;
      prune(graph, options);
      if (scope != PruningScope::layer) {
        CHECK(graph.weights() - graph.kept() == expected_zeros(options.sparsity, graph.weights()));
        continue;
      }
      for (const FloatNode& node : graph.nodes) {
        if (node.has_weights())
          CHECK(node.weights.size() - node.kept() == expected_zeros(options.sparsity, node.weights.size()));
      }
    }
  }
}

TEST_CASE("a kept weight is never smaller than a pruned one of the same layer") {
  test::SeededRng rng(2);
  for (int round = 0; round < 30; ++round) {
    FloatGraph graph = test::random_graph(rng);
    PruningOptions options;
    options.sparsity = 0.6;
    options.scope = round % 2 == 0 ? PruningScope::global : PruningScope::adaptive;
    options.cost_exponent = round % 3 == 0 ? 0.5 : 0;
    prune(graph, options);
    float smallest_of_all = INFINITY, largest_of_all = 0;
    for (const FloatNode& node : graph.nodes) {
      float kept = INFINITY, pruned = 0;
      for (std::size_t i = 0; i < node.weights.size(); ++i) {
        if (node.mask[i] != 0)
          kept = std::min(kept, std::abs(node.weights[i]));
        else
          pruned = std::max(pruned, std::abs(node.weights[i]));
      }
      CHECK(kept >= pruned);
      smallest_of_all = std::min(smallest_of_all, kept);
      largest_of_all = std::max(largest_of_all, pruned);
    }
    if (options.scope == PruningScope::global && options.cost_exponent == 0)
      CHECK(smallest_of_all >= largest_of_all);
  }
}

TEST_CASE("layers can have a share of their own") {
  test::SeededRng rng(3);
  FloatGraph graph = test::random_graph(rng);
  const FloatNode& last = graph.output();
  PruningOptions options;
  options.sparsity = 0.5;
  options.layers = {{last.name, 0}};
  prune(graph, options);
  CHECK(graph.output().kept() == graph.output().weights.size());
  const std::uint64_t others = graph.weights() - graph.output().weights.size();
  CHECK(graph.weights() - graph.kept() == std::min(others, expected_zeros(0.5, graph.weights())));
  options.layers = {{"conv2d*", 0.25}};
  prune(graph, options);
  for (const FloatNode& node : graph.nodes) {
    if (node.kind == FloatKind::conv2d)
      CHECK(node.weights.size() - node.kept() == expected_zeros(0.25, node.weights.size()));
  }
  options.layers = {{"no-such-layer", 0.5}};
  CHECK_THROWS_AS(prune(graph, options), UsageError);
  options.layers = {};
  options.sparsity = 1;
  CHECK_THROWS_AS(prune(graph, options), UsageError);
  options.sparsity = NAN;
  CHECK_THROWS_AS(prune(graph, options), UsageError);
}

TEST_CASE("the cost exponent moves zeros to where weights are used often") {
  test::SeededRng rng(4);
  std::int64_t more = 0, rounds = 0;
  for (int round = 0; round < 20; ++round) {
    FloatGraph graph = test::random_graph(rng);
    const auto uses = [&] {
      std::int64_t sum = 0;
      for (const FloatNode& node : graph.nodes) {
        const std::int64_t positions =
            node.kind == FloatKind::conv2d ? node.shape.height * node.shape.width : 1;
        sum += positions * static_cast<std::int64_t>(node.kept());
      }
      return sum;
    };
    PruningOptions options;
    options.sparsity = 0.5;
    prune(graph, options);
    const std::int64_t plain = uses();
    options.cost_exponent = 1;
    prune(graph, options);
    CHECK(uses() <= plain);
    more += uses() < plain ? 1 : 0;
    ++rounds;
  }
  CHECK(more > rounds / 2);
}

TEST_CASE("the gradual schedule grows from nothing to the target") {
  CHECK(gradual_sparsity(0.9, 0) == 0);
  CHECK(gradual_sparsity(0.9, 1) == Approx(0.9));
  CHECK(gradual_sparsity(0.9, 2) == Approx(0.9));
  CHECK(gradual_sparsity(0.8, 0.5) == Approx(0.8 * (1 - 0.125)));
  double previous = -1;
  for (double t = 0; t <= 1; t += 0.05) {
    CHECK(gradual_sparsity(0.9, t) > previous);
    previous = gradual_sparsity(0.9, t);
  }
}
