#include "compress/reconstruction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/cholesky.h"

namespace popcorn::compress {

namespace {

constexpr std::size_t kPruningBlock = 64;  // columns whose weights are compared with each other
constexpr double kSmallestVariance = 1e-12;

struct Score {
  double loss;
  std::size_t place;
};

}  // namespace

Reconstruction::Reconstruction(LayerMoments moments, double damping) : moments_(std::move(moments)) {
  const std::size_t n = moments_.columns;
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    double* const matrix = moments_.inputs.data() + g * n * n;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += matrix[i * n + i];
    const double ridge = std::max(damping * sum / static_cast<double>(n), kSmallestVariance);
    for (std::size_t i = 0; i < n; ++i) matrix[i * n + i] += ridge;
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
      // w ← w + (cov(y, x) − w·H)·H⁻¹ with H⁻¹ = Uᵀ·U
      for (std::size_t i = 0; i < n; ++i) {
        const double* const column = matrix + order[i] * n;
        gap[i] =
            moments_.outputs[at + order[i]] -
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

void Reconstruction::prune(std::vector<double>& weights, std::vector<std::uint8_t>& mask,
                           std::size_t count) const {
  const std::size_t n = moments_.columns, rows = moments_.rows, total = weights.size();
  if (mask.empty()) mask.assign(total, 1);
  // What is gone already stays gone; the rest of `count` is taken from the others, in even shares.
  const auto gone = static_cast<std::size_t>(std::ranges::count(mask, std::uint8_t{0}));
  const std::size_t more = std::min(count, total) - std::min(count, gone);
  std::size_t seen = 0, removed = 0;
  for (std::size_t g = 0; g < moments_.groups; ++g) {
    std::vector<double> group = ordered(weights, g);
    const auto kept = [&](std::size_t place) -> std::uint8_t& {
      return mask[(g * rows + place / n) * n + order_[g][place % n]];
    };
    for (std::size_t first = 0; first < n; first += kPruningBlock) {
      const std::size_t last = std::min(n, first + kPruningBlock);
      std::vector<Score> scores;
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = first; i < last; ++i) {
          if (kept(r * n + i) == 0) continue;
          const double w = group[r * n + i] / factor_[g][i * n + i];
          scores.push_back({w * w, r * n + i});
        }
      }
      seen += scores.size();
      const double share =
          static_cast<double>(seen) / static_cast<double>(std::max<std::size_t>(1, total - gone));
      const auto wanted = static_cast<std::size_t>(std::llround(static_cast<double>(more) * share));
      const std::size_t here = std::min(scores.size(), wanted - std::min(wanted, removed));
      std::nth_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(here), scores.end(),
                       [](const Score& x, const Score& y) {
                         return x.loss != y.loss ? x.loss < y.loss : x.place < y.place;
                       });
      for (std::size_t k = 0; k < here; ++k) kept(scores[k].place) = 0;
      removed += here;
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = first; i < last; ++i) {
          if (mask[(g * rows + r) * n + order_[g][i]] == 0) pass_on(group, g, r, i, 0);
        }
      }
    }
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < n; ++i) weights[(g * rows + r) * n + order_[g][i]] = group[r * n + i];
    }
  }
}

void Reconstruction::round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
                           const std::function<double(std::size_t, double)>& nearest) const {
  const std::size_t n = moments_.columns, rows = moments_.rows;
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
    }
  }
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

}  // namespace popcorn::compress
