#include "models/input/image_resize.h"

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

namespace {

constexpr unsigned kWeightBits = 22;

/// Whole-number weights of one result sample.
struct WholeMix {
  std::int64_t first;
  std::vector<std::int32_t> weights;
};

/// Pillow's precompute_coeffs() and normalize_coeffs_8bpc() for a triangle filter; an axis that keeps its
/// size is only cut.
std::vector<WholeMix> whole_mixes(const ResizeAxis& axis) {
  std::vector<WholeMix> result;
  if (axis.source == axis.scaled) {
    for (std::int64_t i = axis.first; i < axis.first + axis.count; ++i)
      result.push_back({i, {1 << kWeightBits}});
    return result;
  }
  const double scale = static_cast<double>(axis.source) / static_cast<double>(axis.scaled);
  const double stretch = std::max(scale, 1.0);
  for (std::int64_t i = axis.first; i < axis.first + axis.count; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - stretch + 0.5));
    const auto last = std::min<std::int64_t>(axis.source, static_cast<std::int64_t>(centre + stretch + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t k = first; k < last; ++k) {
      const double distance = std::abs((static_cast<double>(k) - centre + 0.5) * (1.0 / stretch));
      weights.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += weights.back();
    }
    WholeMix mix{first, {}};
    for (const double weight : weights) {
      const double part = sum == 0 ? 0 : weight / sum;
      mix.weights.push_back(static_cast<std::int32_t>(0.5 + part * (1 << kWeightBits)));
    }
    result.push_back(std::move(mix));
  }
  return result;
}

std::uint8_t clipped(std::int64_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kWeightBits, 0, 255));
}

}  // namespace

std::vector<std::uint8_t> resize_plane_bilinear(const std::vector<std::uint8_t>& samples,
                                                const ResizeAxis& vertical, const ResizeAxis& horizontal) {
  constexpr std::int64_t kHalf = std::int64_t{1} << (kWeightBits - 1);
  const auto columns = static_cast<std::size_t>(horizontal.count);
  const std::vector<WholeMix> across = whole_mixes(horizontal), down = whole_mixes(vertical);
  std::vector<std::uint8_t> narrow(columns * static_cast<std::size_t>(vertical.source));
  for (std::int64_t row = 0; row < vertical.source; ++row) {
    const std::uint8_t* const from = samples.data() + row * horizontal.source;
    for (std::size_t i = 0; i < columns; ++i) {
      std::int64_t sum = kHalf;
      for (std::size_t k = 0; k < across[i].weights.size(); ++k)
        sum += std::int64_t{across[i].weights[k]} * from[across[i].first + static_cast<std::int64_t>(k)];
      narrow[static_cast<std::size_t>(row) * columns + i] = clipped(sum);
    }
  }
  std::vector<std::uint8_t> result;
  result.reserve(down.size() * columns);
  for (const WholeMix& mix : down) {
    for (std::size_t i = 0; i < columns; ++i) {
      std::int64_t sum = kHalf;
      for (std::size_t k = 0; k < mix.weights.size(); ++k)
        sum += std::int64_t{mix.weights[k]} *
               narrow[static_cast<std::size_t>(mix.first + static_cast<std::int64_t>(k)) * columns + i];
      result.push_back(clipped(sum));
    }
  }
  return result;
}

}  // namespace popcorn::models
