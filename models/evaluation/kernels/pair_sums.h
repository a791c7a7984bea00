// Weighted sums of small integers, several inputs side by side: the inner loop of evaluation in 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace popcorn::models::kernels {

/// Inputs of the network that are evaluated together: the innermost index of every tensor.
inline constexpr std::size_t kLanes = 8;

/// Two 16-bit numbers in one word, as they lie in a tensor of pairs: first in the low half.
constexpr std::int32_t pair_of(std::int16_t first, std::int16_t second) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint16_t>(second)) << 16 |
                                   static_cast<std::uint16_t>(first));
}

/// Two weights and where the pair of values that they meet lies.
struct PairTap {
  std::int32_t offset;   ///< words from the values of the first position
  std::int32_t weights;  ///< pair_of(the two)
};

/// sums[j·kLanes + lane] = start + Σ over taps of weight pair · value pair at values[j·stride + offset +
/// lane], for all positions j, modulo 2^32.
struct PairSums {
  const char* name;
  bool (*supported)();
  void (*run)(std::int32_t* sums, std::size_t positions, std::int32_t start, const std::int32_t* values,
              std::size_t stride, const PairTap* taps, std::size_t count);
};

const PairSums& portable_pair_sums();
#ifdef POPCORN_HAVE_MODEL_KERNELS
const PairSums& avx2_pair_sums();
#endif
/// The fastest that this processor runs.
const PairSums& pair_sums();

}  // namespace popcorn::models::kernels
