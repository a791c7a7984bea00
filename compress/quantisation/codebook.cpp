#include "compress/quantisation/codebook.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace popcorn::compress {

namespace {

constexpr int kPasses = 20;
constexpr std::array<double, 3> kStarts{1, 0.7, 0.4};  // of the largest magnitude: what is best varies
constexpr double kTolerance = 1.02;                    // of the squared error

std::size_t nearest(const std::vector<double>& centres, double value) {
  const auto above = std::lower_bound(centres.begin(), centres.end(), value);
  if (above == centres.begin()) return 0;
  if (above == centres.end()) return centres.size() - 1;
  const auto index = static_cast<std::size_t>(above - centres.begin());
  return value - centres[index - 1] <= centres[index] - value ? index - 1 : index;
}

double squared_error(const std::vector<double>& sorted, const std::vector<double>& centres) {
  double sum = 0;
  for (const double v : sorted) {
    const double left = v - centres[nearest(centres, v)];
    sum += left * left;
  }
  return sum;
}

/// Centres of the clusters of positive numbers, ascending; the first stays at zero. They start evenly spread
/// up to `highest`.
std::vector<double> cluster(const std::vector<double>& sorted, std::size_t count, double highest) {
  std::vector<double> centres{0};
  for (std::size_t k = 1; k <= count; ++k) {
    centres.push_back(highest * static_cast<double>(k) / static_cast<double>(count));
  }
  for (int pass = 0; pass < kPasses; ++pass) {
    std::vector<double> sum(centres.size()), members(centres.size());
    for (const double v : sorted) {
      const std::size_t k = nearest(centres, v);
      sum[k] += v;
      members[k] += 1;
    }
    for (std::size_t k = 1; k < centres.size(); ++k) {
      if (members[k] > 0) centres[k] = sum[k] / members[k];
    }
    std::sort(centres.begin(), centres.end());
  }
  return centres;
}

std::vector<double> rounded(const std::vector<double>& centres, double unit) {
  std::vector<double> result;
  for (const double c : centres) result.push_back(std::round(c / unit) * unit);
  return result;
}

}  // namespace

Codebook integer_codebook(const std::vector<double>& weights, std::size_t magnitudes, std::int32_t limit) {
  std::vector<double> sorted;
  for (const double w : weights) {
    if (w != 0) sorted.push_back(std::abs(w));
  }
  if (sorted.empty()) return {{0, 1}, 1};
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> centres;
  double error = 0;
  for (const double start : kStarts) {
    std::vector<double> found = cluster(sorted, std::max<std::size_t>(1, magnitudes), start * sorted.back());
    const double found_error = squared_error(sorted, found);
    if (!centres.empty() && found_error >= error) continue;
    centres = std::move(found);
    error = found_error;
  }
  const double permitted = kTolerance * error;
  Codebook result;
  for (std::int32_t largest = 1; largest <= limit; ++largest) {
    result.unit = centres.back() / largest;
    if (largest == limit || squared_error(sorted, rounded(centres, result.unit)) <= permitted) break;
  }
  for (const double c : centres) {
    const auto value = static_cast<std::int32_t>(std::lround(c / result.unit));
    result.values.push_back(value);
    result.values.push_back(-value);
  }
  std::sort(result.values.begin(), result.values.end());
  result.values.erase(std::unique(result.values.begin(), result.values.end()), result.values.end());
  return result;
}

bool is_clustered(const std::vector<float>& weights, std::size_t values) {
  std::set<float> seen;
  for (const float w : weights) {
    if (w != 0 && seen.insert(w).second && seen.size() > values) return false;
  }
  return seen.size() < weights.size() / 4;  // else a layer has hardly more weights than values
}

}  // namespace popcorn::compress
