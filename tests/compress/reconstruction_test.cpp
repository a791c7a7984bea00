// Second-order pruning and rounding: of one layer, and of whole networks.
#include "compress/quantisation/reconstruction.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "compress/compression.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/lowering.h"
#include "compress/pruning/sensitivity.h"
#include "compress/quantisation/cholesky.h"
#include "compress/quantisation/post_training.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

double real(test::SeededRng& rng, double low, double high) {
  return static_cast<double>(test::uniform(rng, static_cast<float>(low), static_cast<float>(high)));
}

/// M·Mᵀ of few random columns plus a little of the identity: strongly correlated inputs.
std::vector<double> random_covariance(test::SeededRng& rng, std::size_t n) {
  const std::size_t factors = n / 3 + 1;
  std::vector<double> m(n * factors), result(n * n);
  for (double& v : m) v = real(rng, -1, 1);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < n; ++k) {
      for (std::size_t f = 0; f < factors; ++f) result[i * n + k] += m[i * factors + f] * m[k * factors + f];
    }
    result[i * n + i] += 0.05;
  }
  return result;
}

/// Moments of a layer that computes the wanted outputs exactly with these weights.
LayerMoments random_moments(test::SeededRng& rng, const std::vector<double>& weights, std::size_t groups,
                            std::size_t rows, std::size_t columns) {
  LayerMoments m;
  m.groups = groups, m.rows = rows, m.columns = columns;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::vector<double> covariance = random_covariance(rng, columns);
    m.inputs.insert(m.inputs.end(), covariance.begin(), covariance.end());
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < columns; ++k) {
          sum += weights[(g * rows + r) * columns + k] * covariance[k * columns + i];
        }
        m.outputs.push_back(sum);
      }
    }
  }
  for (std::size_t i = 0; i < groups * columns; ++i) m.input_mean.push_back(real(rng, -1, 1));
  for (std::size_t i = 0; i < groups * rows; ++i) m.output_mean.push_back(real(rng, -1, 1));
  return m;
}

struct Layer {
  std::size_t groups, rows, columns;
  std::vector<double> weights;
  Reconstruction reconstruction;
};

Layer random_layer(test::SeededRng& rng) {
  const auto groups = static_cast<std::size_t>(rng.between(1, 3)),
             rows = static_cast<std::size_t>(rng.between(1, 8)),
             columns = static_cast<std::size_t>(rng.between(5, 150));
  std::vector<double> weights(groups * rows * columns);
  for (double& w : weights) w = real(rng, -1, 1);
  return {groups, rows, columns, weights,
          Reconstruction(random_moments(rng, weights, groups, rows, columns), 1e-6)};
}

std::size_t zeros(const std::vector<std::uint8_t>& mask) {
  return static_cast<std::size_t>(std::count(mask.begin(), mask.end(), 0));
}

}  // namespace

TEST_CASE("the factor of an inverse") {
  test::SeededRng rng(1);
  for (int round = 0; round < 20; ++round) {
    const auto n = static_cast<std::size_t>(rng.between(1, 40));
    const std::vector<double> a = random_covariance(rng, n), u = inverse_factor(a, n);
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        if (k < i) CHECK(u[i * n + k] == 0);
        double sum = 0;  // (Uᵀ·U·A)[i][k]
        for (std::size_t j = 0; j < n; ++j) {
          double inverse = 0;
          for (std::size_t l = 0; l <= std::min(i, j); ++l) inverse += u[l * n + i] * u[l * n + j];
          sum += inverse * a[j * n + k];
        }
        worst = std::max(worst, std::abs(sum - (i == k ? 1 : 0)));
      }
    }
    CHECK(worst < 1e-6);
  }
  CHECK_THROWS_AS(inverse_factor({1, 2, 2, 1}, 2), Error);
  CHECK_THROWS_AS(inverse_factor({0}, 1), Error);
}

TEST_CASE("pruning removes exactly as many weights as asked and beats magnitudes") {
  test::SeededRng rng(2);
  std::vector<double> ratios;
  for (int round = 0; round < 25; ++round) {
    const Layer layer = random_layer(rng);
    const std::size_t total = layer.weights.size(), count = total / 5 + rng.below(total / 2);
    std::vector<double> pruned = layer.weights;
    std::vector<std::uint8_t> mask;
    layer.reconstruction.prune(pruned, mask, count);
    REQUIRE(mask.size() == total);
    CHECK(zeros(mask) == count);
    for (std::size_t i = 0; i < total; ++i) CHECK((mask[i] != 0 || pruned[i] == 0));

    std::vector<std::size_t> order(total);
    for (std::size_t i = 0; i < total; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::abs(layer.weights[a]) < std::abs(layer.weights[b]);
    });
    std::vector<double> plain = layer.weights;
    for (std::size_t k = 0; k < count; ++k) plain[order[k]] = 0;
    ratios.push_back(layer.reconstruction.error(pruned, layer.weights) /
                     layer.reconstruction.error(plain, layer.weights));
  }
  std::sort(ratios.begin(), ratios.end());
  CHECK(ratios[ratios.size() / 2] < 0.5);
  CHECK(ratios.back() < 1);
}

TEST_CASE("weights that were removed before stay removed and count") {
  test::SeededRng rng(3);
  for (int round = 0; round < 10; ++round) {
    const Layer layer = random_layer(rng);
    std::vector<double> weights = layer.weights;
    std::vector<std::uint8_t> mask(weights.size(), 1);
    for (std::size_t i = 0; i < mask.size(); i += 4) mask[i] = 0;  // evenly, a quarter
    const std::vector<std::uint8_t> before = mask;
    const std::size_t count = weights.size() / 2;
    layer.reconstruction.prune(weights, mask, count);
    CHECK(zeros(mask) == count);
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (before[i] == 0) CHECK(mask[i] == 0);
      if (mask[i] == 0) CHECK(weights[i] == 0);
    }
  }
}

TEST_CASE("rounding with feedback respects masks and beats plain rounding") {
  test::SeededRng rng(4);
  double with_feedback = 0, plain_error = 0;
  for (int round = 0; round < 25; ++round) {
    const Layer layer = random_layer(rng);
    std::vector<std::uint8_t> mask(layer.weights.size(), 1);
    std::vector<double> start = layer.weights;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (rng.below(3) != 0) continue;
      mask[i] = 0;
      start[i] = 0;
    }
    const auto nearest = [](std::size_t output, double value) {
      const double step = 0.25 + 0.01 * static_cast<double>(output);
      return step * std::round(value / step);
    };
    std::vector<double> rounded = start, plain = start;
    layer.reconstruction.round(rounded, mask, nearest);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const std::size_t output = i / layer.columns;
      plain[i] = nearest(output, plain[i]);
      if (mask[i] == 0) CHECK(rounded[i] == 0);
      CHECK(rounded[i] == nearest(output, rounded[i]));
    }
    with_feedback += layer.reconstruction.error(rounded, start);
    plain_error += layer.reconstruction.error(plain, start);
  }
  CHECK(with_feedback < 0.6 * plain_error);
}

TEST_CASE("adapting returns to the weights that make the wanted outputs") {
  test::SeededRng rng(5);
  for (int round = 0; round < 10; ++round) {
    const Layer layer = random_layer(rng);
    std::vector<double> weights(layer.weights.size(), 0);
    layer.reconstruction.adapt(weights);
    for (std::size_t i = 0; i < weights.size(); ++i) CHECK(std::abs(weights[i] - layer.weights[i]) < 1e-2);
    CHECK(layer.reconstruction.biases(weights).size() == layer.groups * layer.rows);
  }
}

TEST_CASE("adapting leaves alone what makes the wanted outputs already, whatever the damping") {
  test::SeededRng rng(9);
  for (const double damping : {0.01, 0.3, 1.0}) {
    const Layer layer = random_layer(rng);
    const LayerMoments moments = random_moments(rng, layer.weights, layer.groups, layer.rows, layer.columns);
    std::vector<double> weights = layer.weights;
    Reconstruction(moments, damping).adapt(weights);
    for (std::size_t i = 0; i < weights.size(); ++i) CHECK(std::abs(weights[i] - layer.weights[i]) < 1e-9);
  }
}

TEST_CASE("the scale of an input does not matter") {
  test::SeededRng rng(10);
  const std::size_t rows = 4, columns = 20;
  std::vector<double> weights(rows * columns), scaled(weights.size());
  for (double& w : weights) w = real(rng, -1, 1);
  LayerMoments plain = random_moments(rng, weights, 1, rows, columns), other = plain;
  for (std::size_t i = 0; i < columns; ++i) {
    const double factor = std::pow(10.0, real(rng, -2, 2));
    for (std::size_t k = 0; k < columns; ++k) {
      other.inputs[i * columns + k] *= factor;
      other.inputs[k * columns + i] *= factor;
    }
    for (std::size_t r = 0; r < rows; ++r) {
      other.outputs[r * columns + i] *= factor;
      scaled[r * columns + i] = weights[r * columns + i] / factor;
    }
  }
  CHECK(Reconstruction(plain, 0.01).error(weights, std::vector<double>(weights.size(), 0)) ==
        Approx(Reconstruction(other, 0.01).error(scaled, std::vector<double>(weights.size(), 0))));
}

TEST_CASE("an input that hardly varies gets no enormous weight") {
  LayerMoments moments;  // y = x₀ + noise, and the noise happens to follow the last stirrings of x₁
  moments.rows = 1;
  moments.columns = 2;
  moments.inputs = {1, 0, 0, 1e-6};
  moments.outputs = {1, 45e-6};
  moments.input_mean = {0, 0};
  moments.output_mean = {0};
  const std::vector<double> before = {0.9, 0.5};
  std::vector<double> adapted = before;
  Reconstruction(moments, 0.01).adapt(adapted);
  REQUIRE(adapted[1] > 40);
  std::vector<std::uint8_t> pinned;
  REQUIRE(pin_outliers(before, adapted, 1, 2, pinned));
  CHECK(pinned == std::vector<std::uint8_t>{0, 1});
  CHECK_FALSE(pin_outliers(before, adapted, 1, 2, pinned));
  adapted = before;
  Reconstruction(moments, 0.01, pinned).adapt(adapted);
  CHECK(adapted[0] == Approx(1).epsilon(0.01));
  CHECK(adapted[1] == Approx(0.5).epsilon(0.01));
}

TEST_CASE("few samples ask for more damping") {
  test::SeededRng rng(11);
  const std::size_t columns = 30;
  std::vector<double> weights(columns);
  for (double& w : weights) w = real(rng, -1, 1);
  const auto halved = [&](int samples, double noise) {
    HalvedMoments result;
    for (LayerMoments* half : {&result.first, &result.second}) {
      half->rows = 1, half->columns = columns;
      half->inputs.assign(columns * columns, 0);
      half->outputs.assign(columns, 0);
      for (int s = 0; s < samples; ++s) {
        std::vector<double> x(columns);
        double y = 0;
        for (std::size_t i = 0; i < columns; ++i) {
          x[i] = real(rng, -1, 1);
          y += x[i] * weights[i];
        }
        y += noise * real(rng, -1, 1);
        for (std::size_t i = 0; i < columns; ++i) {
          half->outputs[i] += x[i] * y / samples;
          for (std::size_t k = 0; k < columns; ++k) half->inputs[i * columns + k] += x[i] * x[k] / samples;
        }
      }
    }
    return result;
  };
  CHECK(choose_damping(halved(2000, 0), weights, 0.01) == 0.01);
  CHECK(choose_damping(halved(20, 1), weights, 0.01) > 0.1);
}

TEST_CASE("sensitivities: none below zero, the same for the same pictures, alike in the last layer") {
  test::SeededRng rng(12);
  for (int round = 0; round < 6; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, true, round % 2 == 0, true, false});
    fold_batch_norm(graph);
    Dataset pictures;
    pictures.shape = graph.input().shape;
    pictures.pixels.resize(20 * static_cast<std::size_t>(pictures.shape.size()));
    rng.fill(pictures.pixels);
    pictures.classes.assign(20, 0);
    const auto found = output_sensitivities(graph, pictures);
    CHECK(found == output_sensitivities(graph, pictures));
    std::size_t last = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      REQUIRE(found[i].size() == graph.nodes[i].bias.size());
      for (const double value : found[i]) CHECK(value >= 0);
      if (graph.nodes[i].has_weights()) last = i;
    }
    for (const double value : found[last]) CHECK(value == found[last].front());

    PostTrainingOptions options;
    options.pruning.sparsity = 0.4;
    options.pruning.scope = PruningScope::sensitivity;
    CHECK_THROWS_AS(prune(graph, options.pruning), UsageError);
    const auto wanted = static_cast<std::uint64_t>(std::llround(0.4 * static_cast<double>(graph.weights())));
    compress_post_training(graph, pictures, options);
    CHECK(graph.weights() - graph.kept() == wanted);
    for (const FloatNode& node : graph.nodes) CHECK((!node.has_weights() || node.kept() > 0));
  }
}

TEST_CASE("how sure a network is of its classes does not change what it is sensitive to") {
  test::SeededRng rng(14);
  FloatGraph graph = test::random_graph(rng, {false, false, false, true, false});
  const Dataset pictures = test::random_pictures(rng, graph.input().shape, 20);
  const auto louder = [&] {
    FloatNode& last = *std::find_if(graph.nodes.rbegin(), graph.nodes.rend(),
                                    [](const FloatNode& node) { return node.has_weights(); });
    for (float& w : last.weights) w *= 0x1p14F;
    for (float& b : last.bias) b *= 0x1p14F;
    return output_sensitivities(graph, pictures);
  };
  const auto sure = louder(), surer = louder();
  for (std::size_t i = 0; i + 1 < sure.size(); ++i) {
    if (static_cast<std::int64_t>(sure[i].size()) == graph.output().shape.size()) continue;  // scaled itself
    for (std::size_t o = 0; o < sure[i].size(); ++o) CHECK(surer[i][o] == Approx(sure[i][o]).epsilon(0.01));
  }
  CHECK(std::ranges::any_of(sure, [](const auto& node) {
    return std::ranges::any_of(node, [](double value) { return value > 0; });
  }));
}

TEST_CASE("a raised stop flag ends post-training compression") {
  test::SeededRng rng(13);
  FloatGraph graph = test::random_graph(rng, {false, false, false, true, false});
  Dataset pictures;
  pictures.shape = graph.input().shape;
  pictures.pixels.resize(8 * static_cast<std::size_t>(pictures.shape.size()));
  pictures.classes.assign(8, 0);
  const std::atomic<bool> stop{true};
  for (const PruningScope scope : {PruningScope::adaptive, PruningScope::sensitivity}) {
    PostTrainingOptions options;
    options.pruning.scope = scope;
    options.stop = &stop;
    CHECK_THROWS_AS(compress_post_training(graph, pictures, options), Interrupted);
  }
  CompressionOptions options;
  options.calibration_images = 8;
  CompressionHooks hooks;
  hooks.stop = &stop;
  CHECK_THROWS_AS(compress_network(graph, pictures, pictures, options, hooks), Interrupted);
  CHECK_THROWS_AS(accuracy(graph, pictures, &stop), Interrupted);
}

TEST_CASE("networks lose less than by magnitudes and plain rounding") {
  test::SeededRng rng(6);
  std::vector<double> ratios;
  for (int round = 0; round < 24; ++round) {
    FloatGraph graph = test::random_graph(rng, {true, false, round % 2 == 0, true, false});
    fold_batch_norm(graph);
    Dataset pictures;
    pictures.shape = graph.input().shape;
    pictures.pixels.resize(96 * static_cast<std::size_t>(pictures.shape.size()));
    const auto width = static_cast<std::size_t>(pictures.shape.width);
    for (std::size_t i = 0; i < pictures.pixels.size(); ++i) {  // neighbours are alike, as in pictures
      const int before = i % width == 0 ? 128 : pictures.pixels[i - 1];
      pictures.pixels[i] =
          static_cast<std::uint8_t>(std::clamp<int>(before + static_cast<int>(rng.below(61)) - 30, 0, 255));
    }
    pictures.classes.assign(96, 0);
    const std::vector<float> wanted = logits(graph, pictures);
    PostTrainingOptions options;
    options.pruning.sparsity = 0.4;
    options.quantisation.bits = 4;
    FloatGraph second_order = graph, plain = graph;
    compress_post_training(second_order, pictures, options);
    prune(plain, options.pruning);
    const std::uint64_t kept = plain.kept();
    quantise(plain, options.quantisation);
    CHECK(second_order.kept() == kept);
    const auto squared = [&](const FloatGraph& found) {
      const std::vector<float> values = logits(found, pictures);
      double sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) sum += std::pow(values[i] - wanted[i], 2);
      return sum;
    };
    ratios.push_back(squared(second_order) / squared(plain));
    CHECK_NOTHROW(lower(second_order));
  }
  std::sort(ratios.begin(), ratios.end());
  CHECK(ratios[ratios.size() / 2] < 0.5);
}

TEST_CASE("zeros of a network that was pruned elsewhere stay zero") {
  test::SeededRng rng(8);
  for (int round = 0; round < 6; ++round) {
    FloatGraph graph = test::random_graph(rng, {false, true, round % 2 == 0, true, false});
    std::uint64_t zeros = 0;
    for (FloatNode& node : graph.nodes) {
      for (float& w : node.weights) {
        if (rng.below(3) == 0) w = 0;
        zeros += w == 0 ? 1 : 0;
      }
    }
    const FloatGraph before = graph;
    Dataset pictures;
    pictures.shape = graph.input().shape;
    pictures.pixels.resize(40 * static_cast<std::size_t>(pictures.shape.size()));
    rng.fill(pictures.pixels);
    pictures.classes.assign(40, 0);
    compress_post_training(graph, pictures, {});
    CHECK(graph.weights() - graph.kept() == zeros);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      for (std::size_t i = 0; i < graph.nodes[n].weights.size(); ++i) {
        if (before.nodes[n].weights[i] == 0) CHECK(graph.nodes[n].effective_weight(i) == 0);
      }
    }
  }
}

TEST_CASE("sample pictures of another shape are refused") {
  test::SeededRng rng(7);
  FloatGraph graph = test::random_graph(rng);
  CHECK_THROWS_AS(compress_post_training(graph, {}, {}), InputError);
}
