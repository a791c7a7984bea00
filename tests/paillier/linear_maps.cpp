#include "tests/paillier/linear_maps.h"

#include <numeric>

namespace popcorn::test {

using paillier::LinearMap;

namespace {

void fill_rows(LinearMap& map, SeededRng& rng, std::int64_t largest, unsigned density_percent,
               bool with_bias) {
  map.row_start.push_back(0);
  map.bias = WideVector(map.channels, 1);
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    for (std::uint32_t tap = 0; tap < map.taps; ++tap) {
      if (rng.below(100) >= density_percent) continue;
      std::int64_t weight = 0;
      while (weight == 0) weight = rng.between(-largest, largest);
      map.tap.push_back(tap);
      map.weight.push_back(static_cast<std::int32_t>(weight));
    }
    map.row_start.push_back(static_cast<std::uint32_t>(map.tap.size()));
    if (with_bias && rng.below(3) != 0) map.bias.set_int64(channel, rng.between(-100000, 100000));
  }
}

}  // namespace

paillier::LinearMap random_map(SeededRng& rng, std::size_t positions, std::int64_t largest,
                               unsigned density_percent, bool with_padding, bool with_bias) {
  LinearMap map;
  map.inputs = 1 + rng.below(30);
  map.channels = 1 + rng.below(12);
  map.positions = positions;
  map.taps = 1 + rng.below(40);
  fill_rows(map, rng, largest, density_percent, with_bias);
  for (std::size_t i = 0; i < map.taps * map.positions; ++i) {
    const bool padding = with_padding && rng.below(6) == 0;
    map.input_index.push_back(padding ? LinearMap::kPadding
                                      : static_cast<std::uint32_t>(rng.below(map.inputs)));
  }
  return map;
}

std::vector<std::int64_t> plain_sums(const LinearMap& map, const std::vector<std::int64_t>& x) {
  std::vector<std::int64_t> y(map.outputs());
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    for (std::size_t position = 0; position < map.positions; ++position) {
      std::int64_t sum = map.bias.to_int64(channel);
      for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
        const std::uint32_t input = map.input_index[map.tap[k] * map.positions + position];
        if (input != LinearMap::kPadding) sum += map.weight[k] * x[input];
      }
      y[channel * map.positions + position] = sum;
    }
  }
  return y;
}

LinearMap random_dense(SeededRng& rng, std::size_t inputs, std::size_t outputs, std::int64_t largest,
                       unsigned density_percent) {
  LinearMap map;
  map.inputs = map.taps = inputs;
  map.channels = outputs;
  fill_rows(map, rng, largest, density_percent, true);
  map.input_index.resize(inputs);
  std::iota(map.input_index.begin(), map.input_index.end(), 0U);
  return map;
}

paillier::LinearMap random_convolution(SeededRng& rng, const ConvolutionSize& size, std::int64_t largest,
                                       unsigned density_percent) {
  const auto [planes, extent, kernel, stride, padding, channels] = size;
  const std::int64_t output = (extent + 2 * padding - kernel) / stride + 1;
  LinearMap map;
  map.plane = static_cast<std::size_t>(extent * extent);
  map.inputs = static_cast<std::size_t>(planes) * map.plane;
  map.channels = static_cast<std::size_t>(channels);
  map.positions = static_cast<std::size_t>(output * output);
  map.taps = static_cast<std::size_t>(planes * kernel * kernel);
  fill_rows(map, rng, largest, density_percent, true);
  for (std::int64_t tap = 0; tap < planes * kernel * kernel; ++tap) {
    const std::int64_t plane = tap / (kernel * kernel);
    for (std::int64_t position = 0; position < output * output; ++position) {
      const std::int64_t row = position / output * stride + tap / kernel % kernel - padding;
      const std::int64_t column = position % output * stride + tap % kernel - padding;
      const bool outside = row < 0 || column < 0 || row >= extent || column >= extent;
      map.input_index.push_back(outside
                                    ? LinearMap::kPadding
                                    : static_cast<std::uint32_t>((plane * extent + row) * extent + column));
    }
  }
  return map;
}

}  // namespace popcorn::test
