// Random linear layers, and their sums in plain integers.
#pragma once

#include <cstdint>
#include <vector>

#include "paillier/weighted_sum/weighted_sum.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

/// Taps read random inputs. Weights in [−largest, largest] without 0.
paillier::LinearMap random_map(SeededRng& rng, std::size_t positions, std::int64_t largest,
                               unsigned density_percent, bool with_padding, bool with_bias);

paillier::LinearMap random_dense(SeededRng& rng, std::size_t inputs, std::size_t outputs,
                                 std::int64_t largest, unsigned density_percent);

/// All sides of squares.
struct ConvolutionSize {
  std::int64_t planes, extent, kernel, stride, padding, channels;
};
/// A convolution with random weights, its inputs in planes.
paillier::LinearMap random_convolution(SeededRng& rng, const ConvolutionSize& size, std::int64_t largest,
                                       unsigned density_percent);

/// Σ w·x + b of every output.
std::vector<std::int64_t> plain_sums(const paillier::LinearMap& map, const std::vector<std::int64_t>& x);

}  // namespace popcorn::test
