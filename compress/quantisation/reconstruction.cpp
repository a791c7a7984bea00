#include "compress/quantisation/reconstruction.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "compress/quantisation/cholesky.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kPruningBlock = 64;    // columns whose weights are compared with each other
constexpr double kSmallestVariance = 1e-10;  // as a share of the largest of the inputs of a group
constexpr int kSettlingSteps = 16, kDescents = 8;

constexpr std::array<double, 4> kDampings{0.25, 4, 16, 64};  // multiples of the usual one
constexpr double kClearly = 1e-5;                            // as a share of what the weights explain
constexpr double kSettled = 1e-8;                            // of the gradient's square
constexpr double kGrowth = 2;                                // of the largest weight, when a layer adapts

struct Score {
  double loss;
  std::size_t place;
};

/// Puts the `count` least losses first; of equal ones the earlier place.
void select_least(std::vector<Score>& scores, std::size_t count) {
  std::nth_element(
      scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(count), scores.end(),
      [](const Score& x, const Score& y) { return x.loss != y.loss ? x.loss < y.loss : x.place < y.place; });
}

}  // namespace

Reconstruction::Reconstruction(LayerMoments moments, double damping, const std::vector<std::uint8_t>& pinned)
    : moments_(std::move(moments)) {
  const std::size_t n = moments_.columns;
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    double* const matrix = moments_.inputs.data() + g * n * n;
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, matrix[i * n + i]);
    const double least = largest > 0 ? kSmallestVariance * largest : 1;
    for (std::size_t i = 0; i < n; ++i) {
      const bool pin = !pinned.empty() && pinned[g * n + i] != 0;
      ridge_.push_back(std::max(pin ? largest : damping * matrix[i * n + i], least));
      matrix[i * n + i] += ridge_.back();
    }
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return matrix[a * n + a] > matrix[b * n + b]; });
    std::vector<double> permuted(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) permuted[i * n + k] = matrix[order[i] * n + order[k]];
    }
    factor_.push_back(inverse_factor(std::move(permuted), n));
    order_.push_back(std::move(order));
  }
}

void Reconstruction::adapt(std::vector<double>& weights) const {
  const std::size_t n = moments_.columns;
  std::vector<double> gap(n), half(n);
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    const std::vector<std::size_t>& order = order_[g];
    const double* const matrix = moments_.inputs.data() + g * n * n;
    for (std::size_t r = 0; r < moments_.rows; ++r) {
      const std::size_t at = (g * moments_.rows + r) * n;
      // w ← w + (cov(y, x) − w·cov(x, x))·H⁻¹ with H = cov(x, x) + ridge, H⁻¹ = Uᵀ·U
      for (std::size_t i = 0; i < n; ++i) {
        const double* const column = matrix + order[i] * n;
        gap[i] =
            moments_.outputs[at + order[i]] + weights[at + order[i]] * ridge_[g * n + order[i]] -
            std::inner_product(column, column + n, weights.begin() + static_cast<std::ptrdiff_t>(at), 0.0);
      }
      std::vector<double> step(n, 0);
      for (std::size_t i = 0; i < n; ++i) {
        const double* const row = factor_[g].data() + i * n;
        half[i] = std::inner_product(row + i, row + n, gap.begin() + static_cast<std::ptrdiff_t>(i), 0.0);
        for (std::size_t k = i; k < n; ++k) step[k] += row[k] * half[i];
      }
      for (std::size_t i = 0; i < n; ++i) weights[at + order[i]] += step[i];
    }
  }
}

std::vector<double> Reconstruction::ordered(const std::vector<double>& weights, std::size_t group) const {
  const std::size_t n = moments_.columns;
  std::vector<double> result(moments_.rows * n);
  for (std::size_t r = 0; r < moments_.rows; ++r) {
    const std::size_t at = (group * moments_.rows + r) * n;
    for (std::size_t i = 0; i < n; ++i) result[r * n + i] = weights[at + order_[group][i]];
  }
  return result;
}

/// The weight takes `value`; its error goes to the columns behind it.
void Reconstruction::pass_on(std::vector<double>& rows, std::size_t group, std::size_t row,
                             std::size_t column, double value) const {
  const std::size_t n = moments_.columns;
  double* const weights = rows.data() + row * n;
  const double* const factor = factor_[group].data() + column * n;
  const double error = (weights[column] - value) / factor[column];
  weights[column] = value;
  if (error == 0) return;
  for (std::size_t k = column + 1; k < n; ++k) weights[k] -= error * factor[k];
}

std::vector<double> Reconstruction::removal_losses(const std::vector<double>& weights) const {
  const std::size_t n = moments_.columns, rows = moments_.rows;
  std::vector<double> result(weights.size());
  for (std::size_t output = 0; output < moments_.groups * rows; ++output) {
    const std::size_t g = output / rows;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = output * n + order_[g][i];
      const double w = weights[at] / factor_[g][i * n + i];
      result[at] = w * w;
    }
  }
  return result;
}

/// Of every block of columns of every group: how many of the `count` weights with the least losses it holds.
std::vector<std::size_t> Reconstruction::block_shares(const std::vector<double>& weights,
                                                      const std::vector<std::uint8_t>& mask,
                                                      std::size_t count,
                                                      const std::vector<double>& importance) const {
  const std::size_t n = moments_.columns, rows = moments_.rows,
                    blocks = (n + kPruningBlock - 1) / kPruningBlock;
  const std::vector<double> losses = removal_losses(weights);
  std::vector<Score> scores;
  for (std::size_t output = 0; output < moments_.groups * rows; ++output) {
    const std::size_t g = output / rows;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = output * n + order_[g][i];
      if (mask[at] == 0) continue;
      const double factor = importance.empty() ? 1 : importance[output];
      scores.push_back({losses[at] * factor, output * n + i});
    }
  }
  select_least(scores, count);
  std::vector<std::size_t> result(moments_.groups * blocks);
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t output = scores[k].place / n, column = scores[k].place % n;
    ++result[output / rows * blocks + column / kPruningBlock];
  }
  return result;
}

void Reconstruction::prune(std::vector<double>& weights, std::vector<std::uint8_t>& mask, std::size_t count,
                           const std::vector<double>& importance) const {
  const std::size_t n = moments_.columns, rows = moments_.rows, total = weights.size();
  if (mask.empty()) mask.assign(total, 1);
  // What is gone already stays gone; the rest of `count` is taken from the others.
  const auto gone = static_cast<std::size_t>(std::ranges::count(mask, std::uint8_t{0}));
  const std::size_t more = std::min(count, total) - std::min({count, gone, total});
  const std::vector<std::size_t> shares = block_shares(weights, mask, more, importance);
  const std::vector<double> wanted = weights;
  auto share = shares.begin();
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    std::vector<double> group = ordered(weights, g);
    const auto kept = [&](std::size_t place) -> std::uint8_t& {
      return mask[(g * rows + place / n) * n + order_[g][place % n]];
    };
    for (std::size_t first = 0; first < n; first += kPruningBlock) {
      const std::size_t last = std::min(n, first + kPruningBlock), here = *share++;
      std::vector<Score> scores;
      for (std::size_t r = 0; r < rows; ++r) {
        const double factor = importance.empty() ? 1 : importance[g * rows + r];
        for (std::size_t i = first; i < last; ++i) {
          if (kept(r * n + i) == 0) continue;
          const double w = group[r * n + i] / factor_[g][i * n + i];
          scores.push_back({w * w * factor, r * n + i});
        }
      }
      select_least(scores, here);
      for (std::size_t k = 0; k < here; ++k) kept(scores[k].place) = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = first; i < last; ++i) {
          if (kept(r * n + i) == 0) pass_on(group, g, r, i, 0);
        }
      }
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = (g * rows + r) * n;
      for (std::size_t i = 0; i < n; ++i) weights[at + order_[g][i]] = group[r * n + i];
      settle(weights.data() + at, wanted.data() + at, mask.data() + at, g);
    }
  }
}

void Reconstruction::settle(double* weights, const double* wanted, const std::uint8_t* mask,
                            std::size_t group) const {
  const std::size_t n = moments_.columns;
  const double* const matrix = moments_.inputs.data() + group * n * n;
  // Conjugate gradients for H·(w − wanted) = 0 at the kept weights, scaled by the diagonal.
  const auto product = [&](const std::vector<double>& x) {
    std::vector<double> y(n, 0);
    for (std::size_t i = 0; i < n; ++i) {
      if (x[i] == 0) continue;
      const double* const row = matrix + i * n;
      for (std::size_t k = 0; k < n; ++k) y[k] += x[i] * row[k];
    }
    return y;
  };
  std::vector<double> gap(n), direction(n, 0);
  for (std::size_t i = 0; i < n; ++i) gap[i] = wanted[i] - weights[i];
  std::vector<double> left = product(gap);
  double before = 0, first = 0;
  for (int step = 0; step < kSettlingSteps; ++step) {
    double size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (mask[i] != 0) size += left[i] * left[i] / matrix[i * n + i];
    }
    if (step == 0) first = size;
    if (!(size > kSettled * first)) return;
    for (std::size_t i = 0; i < n; ++i) {
      direction[i] =
          mask[i] == 0 ? 0 : left[i] / matrix[i * n + i] + (step == 0 ? 0 : size / before) * direction[i];
    }
    before = size;
    const std::vector<double> image = product(direction);
    const double curvature = std::inner_product(direction.begin(), direction.end(), image.begin(), 0.0);
    if (!(curvature > 0)) return;
    const double length = size / curvature;
    for (std::size_t i = 0; i < n; ++i) {
      weights[i] += length * direction[i];
      left[i] -= length * image[i];
    }
  }
}

void Reconstruction::round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
                           const std::function<double(std::size_t, double)>& nearest) const {
  const std::size_t n = moments_.columns, rows = moments_.rows;
  const std::vector<double> wanted = weights;
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    std::vector<double> group = ordered(weights, g);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t output = g * rows + r;
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = output * n + order_[g][i];
        const bool kept = mask.empty() || mask[at] != 0;
        pass_on(group, g, r, i, kept ? nearest(output, group[r * n + i]) : 0);
        weights[at] = group[r * n + i];
      }
      descend(weights.data() + output * n, wanted.data() + output * n,
              mask.empty() ? nullptr : mask.data() + output * n, g,
              [&](double value) { return nearest(output, value); });
    }
  }
}

void Reconstruction::descend(double* weights, const double* wanted, const std::uint8_t* mask,
                             std::size_t group, const std::function<double(double)>& nearest) const {
  const std::size_t n = moments_.columns;
  const double* const matrix = moments_.inputs.data() + group * n * n;
  std::vector<double> slope(n, 0);  // H·(w − wanted)
  const auto move = [&](std::size_t i, double by) {
    const double* const row = matrix + i * n;
    for (std::size_t k = 0; k < n; ++k) slope[k] += by * row[k];
  };
  for (std::size_t i = 0; i < n; ++i) {
    if (weights[i] != wanted[i]) move(i, weights[i] - wanted[i]);
  }
  for (int pass = 0; pass < kDescents; ++pass) {
    bool moved = false;
    for (const std::size_t i : order_[group]) {
      if (mask != nullptr && mask[i] == 0) continue;
      const double variance = matrix[i * n + i], value = nearest(weights[i] - slope[i] / variance);
      const double by = value - weights[i];
      if (by * (2 * slope[i] + by * variance) >= 0) continue;  // the error would not shrink
      move(i, by);
      weights[i] = value;
      moved = true;
    }
    if (!moved) return;
  }
}

double Reconstruction::regression_error(const LayerMoments& moments, const std::vector<double>& weights) {
  const std::size_t n = moments.columns;
  double sum = 0;
  for (std::size_t output = 0; output < moments.groups * moments.rows; ++output) {
    const double* const w = weights.data() + output * n;
    const double* const wanted = moments.outputs.data() + output * n;
    const double* const matrix = moments.inputs.data() + output / moments.rows * n * n;
    std::vector<double> image(n, 0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) image[k] += w[i] * matrix[i * n + k];
    }
    for (std::size_t i = 0; i < n; ++i) sum += w[i] * (image[i] - 2 * wanted[i]);
  }
  return sum;
}

std::vector<double> Reconstruction::biases(const std::vector<double>& weights) const {
  const std::size_t n = moments_.columns;
  std::vector<double> result = moments_.output_mean;
  for (std::size_t output = 0; output < result.size(); ++output) {
    const double* const mean = moments_.input_mean.data() + output / moments_.rows * n;
    result[output] -=
        std::inner_product(mean, mean + n, weights.begin() + static_cast<std::ptrdiff_t>(output * n), 0.0);
  }
  return result;
}

double Reconstruction::error(const std::vector<double>& weights, const std::vector<double>& other) const {
  const std::size_t n = moments_.columns;
  double sum = 0;
  for (std::size_t output = 0; output < moments_.groups * moments_.rows; ++output) {
    const double* const matrix = moments_.inputs.data() + output / moments_.rows * n * n;
    for (std::size_t i = 0; i < n; ++i) {
      const double left = weights[output * n + i] - other[output * n + i];
      if (left == 0) continue;
      for (std::size_t k = 0; k < n; ++k) {
        sum += left * matrix[i * n + k] * (weights[output * n + k] - other[output * n + k]);
      }
    }
  }
  return sum;
}

bool pin_outliers(const std::vector<double>& before, const std::vector<double>& adapted, std::size_t groups,
                  std::size_t columns, std::vector<std::uint8_t>& pinned) {
  double limit = 0;
  for (const double w : before) limit = std::max(limit, kGrowth * std::abs(w));
  const std::size_t rows = before.size() / (groups * columns);
  pinned.resize(groups * columns, 0);
  bool found = false;
  for (std::size_t at = 0; at < adapted.size(); ++at) {
    if (std::abs(adapted[at]) <= limit) continue;
    std::uint8_t& mark = pinned[at / (rows * columns) * columns + at % columns];
    found = found || mark == 0;
    mark = 1;
  }
  return found;
}

double choose_damping(const HalvedMoments& moments, const std::vector<double>& weights, double usual) {
  const auto error_with = [&](double damping) {
    std::vector<double> adapted = weights;
    Reconstruction(moments.first, damping).adapt(adapted);
    return Reconstruction::regression_error(moments.second, adapted);
  };
  const double untouched = Reconstruction::regression_error(moments.second, weights);
  double best = usual, best_error = error_with(usual);
  for (const double factor : kDampings) {
    const double damping = std::min(1.0, usual * factor);
    const double error = error_with(damping);
    if (error >= best_error - kClearly * std::abs(untouched)) continue;
    best = damping;
    best_error = error;
  }
  return best;
}

}  // namespace popcorn::compress
