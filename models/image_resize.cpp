#include "models/image_resize.h"

#include <algorithm>
#include <cmath>

namespace popcorn::models {

namespace {

/// What one result sample is made of: weights, which sum to 1, from `first` on.
struct Mix {
  std::int64_t first;
  std::vector<double> weights;
};

/// Mean over [begin, end), in fractions of samples.
Mix area_mix(double begin, double end, std::int64_t source) {
  Mix mix{std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin)), 0, source - 1), {}};
  for (std::int64_t i = mix.first; i < source && static_cast<double>(i) < end; ++i) {
    const double covered =
        std::min(end, static_cast<double>(i + 1)) - std::max(begin, static_cast<double>(i));
    mix.weights.push_back(covered / (end - begin));
  }
  return mix;
}

Mix linear_mix(double centre, std::int64_t source) {
  const double inside = std::clamp(centre, 0.0, static_cast<double>(source - 1));
  const auto left = static_cast<std::int64_t>(inside);
  const double fraction = inside - static_cast<double>(left);
  if (fraction == 0) return {left, {1.0}};
  return {left, {1 - fraction, fraction}};
}

std::vector<Mix> mixes(const ResizeAxis& axis) {
  std::vector<Mix> result;
  const double step = static_cast<double>(axis.source) / static_cast<double>(axis.scaled);
  for (std::int64_t i = axis.first; i < axis.first + axis.count; ++i) {
    const auto place = static_cast<double>(i);
    if (axis.scaled == axis.source) {
      result.push_back({i, {1.0}});
    } else if (axis.scaled < axis.source) {
      result.push_back(area_mix(place * step, (place + 1) * step, axis.source));
    } else {
      result.push_back(linear_mix((place + 0.5) * step - 0.5, axis.source));
    }
  }
  return result;
}

/// One row of `samples` resampled.
void resample_row(const std::uint8_t* row, const std::vector<Mix>& columns, double* result) {
  for (const Mix& mix : columns) {
    double sum = 0;
    for (std::size_t k = 0; k < mix.weights.size(); ++k)
      sum += mix.weights[k] * row[mix.first + static_cast<std::int64_t>(k)];
    *result++ = sum;
  }
}

}  // namespace

std::vector<std::uint8_t> resize_plane(const std::vector<std::uint8_t>& samples, const ResizeAxis& vertical,
                                       const ResizeAxis& horizontal) {
  const std::vector<Mix> columns = mixes(horizontal);
  std::vector<std::uint8_t> result;
  std::vector<double> row(columns.size());
  for (const Mix& mix : mixes(vertical)) {
    std::vector<double> sum(columns.size(), 0.0);
    for (std::size_t k = 0; k < mix.weights.size(); ++k) {
      const std::int64_t source_row = mix.first + static_cast<std::int64_t>(k);
      resample_row(samples.data() + source_row * horizontal.source, columns, row.data());
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += mix.weights[k] * row[i];
    }
    for (const double value : sum) {
      result.push_back(static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0)));
    }
  }
  return result;
}

}  // namespace popcorn::models
