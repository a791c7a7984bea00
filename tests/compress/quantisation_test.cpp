#include "compress/quantisation/quantisation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/lowering.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/codebook.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

std::vector<float> unrounded_logits(FloatGraph graph, const Dataset& pictures) {
  for (FloatNode& node : graph.nodes) node.grid = {};
  return logits(graph, pictures);
}

}  // namespace

TEST_CASE("the nearest value of a grid") {
  WeightGrid uniform{3, {}};
  CHECK(uniform.nearest(0.49F) == 0);
  CHECK(uniform.nearest(0.5F) == 1);
  CHECK(uniform.nearest(-2.7F) == -3);
  CHECK(uniform.nearest(99) == 3);
  CHECK(uniform.nearest(-99) == -3);
  WeightGrid codebook{0, {-8, 0, 1, 5}};
  test::SeededRng rng(1);
  for (int round = 0; round < 500; ++round) {
    const float w = test::uniform(rng, -12, 12);
    const std::int32_t found = codebook.nearest(w);
    for (const std::int32_t c : codebook.codebook) {
      CHECK(std::abs(w - static_cast<float>(found)) <= std::abs(w - static_cast<float>(c)));
    }
  }
}

TEST_CASE("the best step is no worse than any plain choice") {
  test::SeededRng rng(2);
  for (int round = 0; round < 50; ++round) {
    const std::int32_t levels = (1 << rng.between(1, 7)) - 1;
    std::vector<double> weights(static_cast<std::size_t>(rng.between(1, 60)));
    for (double& w : weights) w = static_cast<double>(test::uniform(rng, -2, 2) * test::uniform(rng, 0, 1));
    const auto error = [&](double step) {
      double sum = 0;
      for (const double w : weights) {
        const double rounded =
            std::clamp(std::round(w / step), -static_cast<double>(levels), static_cast<double>(levels));
        sum += (w - step * rounded) * (w - step * rounded);
      }
      return sum;
    };
    double largest = 0;
    for (const double w : weights) largest = std::max(largest, std::abs(w));
    const double step = best_step(weights, levels);
    CHECK(step > 0);
    CHECK(error(step) <= error(largest / levels) + 1e-12);
  }
  CHECK(best_step({0, 0}, 7) == 1);
}

TEST_CASE("scales fold forward without changing the function") {
  test::SeededRng rng(3);
  std::vector<double> errors;
  int clips = 0;  // with limits of their own for each channel
  for (int round = 0; round < 60; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, round % 2 == 0, true, true, false});
    // Whole pixel means, as the rounding of the mean is exact for layers without padding only.
    for (double& m : graph.mean) m = std::round(255 * m) / 255;
    const Dataset pictures = test::random_pictures(rng, graph.input().shape, 3);
    fold_batch_norm(graph);
    PruningOptions pruning;
    pruning.sparsity = 0.4;
    prune(graph, pruning);
    const std::vector<float> expected = logits(graph, pictures);
    QuantisationOptions options;
    options.bits = 8;
    quantise(graph, options);
    // Without the rounding, and with no weight clamped away (the best step of 8 bits hardly clamps), it is
    // the same.
    for (const FloatNode& node : graph.nodes) {
      clips += node.kind == FloatKind::clip && std::set(node.gamma.begin(), node.gamma.end()).size() > 1;
      if (!node.has_weights()) continue;
      CHECK(node.grid.levels == 127);
      for (const float w : node.weights) CHECK(std::abs(w) <= 127.0F);
    }
    CHECK(test::relative_difference(unrounded_logits(graph, pictures), expected) < 0.02);
    errors.push_back(test::relative_difference(logits(graph, pictures), expected));
  }
  std::sort(errors.begin(), errors.end());
  CHECK(errors[errors.size() / 2] < 0.03);
  CHECK(errors[errors.size() * 9 / 10] < 0.2);
  CHECK(clips > 5);
}

TEST_CASE("bits can be chosen layer by layer") {
  test::SeededRng rng(4);
  FloatGraph graph = test::random_graph(rng);
  QuantisationOptions options;
  options.bits = 3;
  options.layers = {{graph.output().name, 6}};
  quantise(graph, options);
  for (const FloatNode& node : graph.nodes) {
    if (!node.has_weights()) continue;
    CHECK(node.grid.levels == (&node == &graph.output() ? 31 : 3));
    for (std::size_t i = 0; i < node.weights.size(); ++i) {
      const float w = node.effective_weight(i);
      CHECK(w == std::round(w));
      CHECK(std::abs(w) <= static_cast<float>(node.grid.levels));
    }
  }
  options.layers = {{"nowhere", 4}};
  CHECK_THROWS_AS(quantise(graph, options), UsageError);
  for (const int bits : {1, 9, 0, -4}) {
    options.layers = {};
    options.bits = bits;
    CHECK_THROWS_AS(quantise(graph, options), UsageError);
  }
}

TEST_CASE("layers that were clustered elsewhere keep their values") {
  test::SeededRng rng(11);
  // Rows of different sizes, as in a layer that was clustered as a whole.
  const std::vector<float> values = test::random_floats(rng, 60, -1, 1);
  std::vector<float> weights;
  for (int o = 0; o < 30; ++o) {
    for (int i = 0; i < 200; ++i) {
      const float value = values[rng.below(o % 2 == 0 ? 60 : 20)];
      weights.push_back(rng.below(3) == 0 ? value : 0);
    }
  }
  FloatGraph graph = test::dense_graph({1, 20, 10}, weights, std::vector<float>(30));
  CHECK(is_clustered(weights, 60));
  CHECK_FALSE(is_clustered(weights, 20));
  CHECK_FALSE(is_clustered(test::random_floats(rng, 200), 256));
  QuantisationOptions options;
  options.kind = GridKind::codebook;
  options.bits = 8;
  quantise(graph, options);
  const FloatNode& result = graph.nodes.back();
  double largest_error = 0;
  std::map<float, std::int32_t> found;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::int32_t integer = result.grid.nearest(result.weights[i]);
    const auto [known, is_new] = found.emplace(weights[i], integer);
    CHECK(known->second == integer);  // one value, one integer, in every row
    largest_error = std::max(largest_error, std::abs(static_cast<double>(result.weights[i]) - integer));
  }
  CHECK(found.size() > 50);
  CHECK(largest_error <= 0.01 * result.grid.largest());  // neighbours may share a magnitude
  CHECK(result.grid.largest() > 127);
}

TEST_CASE("a codebook has few integer magnitudes and fits better than a uniform grid of as many") {
  test::SeededRng rng(7);
  int better = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<double> weights(static_cast<std::size_t>(rng.between(200, 800)));
    for (double& w : weights) {  // long tails, as trained weights have
      const auto u = static_cast<double>(test::uniform(rng, -1, 1));
      w = u * u * u;
    }
    const auto bits = static_cast<int>(rng.between(3, 5));
    const auto magnitudes = static_cast<std::size_t>((1 << (bits - 1)) - 1);
    const Codebook found = integer_codebook(weights, magnitudes);
    CHECK(std::is_sorted(found.values.begin(), found.values.end()));
    CHECK(found.values.size() <= 2 * magnitudes + 1);
    CHECK(found.values.back() <= 127);
    const WeightGrid clustered{0, found.values}, uniform{static_cast<std::int32_t>(magnitudes), {}};
    const double step = best_step(weights, uniform.levels);
    double codebook_error = 0, uniform_error = 0;
    for (const double w : weights) {
      CHECK(clustered.nearest(static_cast<float>(w)) == -clustered.nearest(static_cast<float>(-w)));
      codebook_error += std::pow(w - found.unit * clustered.nearest(static_cast<float>(w / found.unit)), 2);
      uniform_error += std::pow(w - step * uniform.nearest(static_cast<float>(w / step)), 2);
    }
    better += codebook_error < uniform_error ? 1 : 0;
  }
  CHECK(better >= 27);
  CHECK(integer_codebook({}, 3).values == std::vector<std::int32_t>{0, 1});
  CHECK(integer_codebook({2, -2, 0}, 4).values == std::vector<std::int32_t>{-1, 0, 1});
}

TEST_CASE("each layer can have its own kind of grid") {
  test::SeededRng rng(8);
  for (const GridKind kind : {GridKind::ternary, GridKind::binary, GridKind::codebook}) {
    for (int round = 0; round < 8; ++round) {
      FloatGraph graph = test::random_graph(rng, {true, false, round % 2 == 0, true, false});
      fold_batch_norm(graph);
      PruningOptions pruning;
      pruning.sparsity = 0.3;
      prune(graph, pruning);
      QuantisationOptions options;
      options.bits = 3;
      options.kinds = {{graph.output().name, kind}};
      quantise(graph, options);
      const models::IntegerNetwork network = lower(graph);
      for (const models::Node& node : network.nodes) {
        if (node.weights.empty()) continue;
        const std::vector<std::int32_t> magnitudes = node.magnitudes();
        if (node.name != graph.output().name) {
          CHECK(magnitudes.back() <= 3);
        } else {
          CHECK(magnitudes.size() <= (kind == GridKind::codebook ? 4U : 1U));
          if (kind == GridKind::binary) CHECK(node.nonzeros() == graph.output().kept());
        }
      }
    }
  }
  FloatGraph graph = test::random_graph(rng);
  QuantisationOptions options;
  options.kinds = {{"nowhere", GridKind::binary}};
  CHECK_THROWS_AS(quantise(graph, options), UsageError);
}

TEST_CASE("the operands of sums get units that whole multipliers align") {
  test::SeededRng rng(6);
  int sums = 0;
  for (int round = 0; round < 40; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, false, true, true, false});
    fold_batch_norm(graph);
    quantise(graph, {});
    for (const models::Node& node : lower(graph).nodes) {
      if (node.kind != models::NodeKind::add) continue;
      ++sums;
      CHECK(*std::min_element(node.multipliers.begin(), node.multipliers.end()) == 1);
    }
  }
  CHECK(sums > 10);
}

TEST_CASE("batch-norm must be folded first") {
  test::SeededRng rng(5);
  FloatGraph graph = test::random_graph(rng);
  FloatNode norm;
  norm.kind = FloatKind::batch_norm;
  norm.name = "norm";
  norm.inputs = {graph.nodes.size() - 1};
  const auto outputs = static_cast<std::size_t>(graph.output().shape.channels);
  norm.gamma = norm.beta = norm.mean = norm.variance = std::vector<float>(outputs, 1);
  graph.nodes.push_back(norm);
  graph.finish();
  CHECK_THROWS_AS(quantise(graph, {}), InputError);
}
