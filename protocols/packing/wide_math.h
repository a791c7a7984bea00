// The little arithmetic on wide integers that masks and blinding need. Every function is exact; whoever calls
// it chooses a width at which the result fits. None has a branch or an address that depends on the values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/wide_vector.h"

namespace popcorn::protocols {

/// x[i] ← x[i] + 2^bit
void add_power_of_two(WideVector& x, unsigned bit);
/// x[i] ← x[i] − 2^bit
void subtract_power_of_two(WideVector& x, unsigned bit);
/// x[i] ← keep[i] != 0 ? x[i] : 0
void mask_inplace(WideVector& x, std::span<const std::uint8_t> keep);
/// The values at the given places, in that order.
WideVector gather(const WideVector& x, std::span<const std::uint32_t> places);
/// Smallest ℓ with high[i] − low[i] < 2^ℓ for all i: bound of a difference of two values of [low[i],
/// high[i]].
unsigned difference_bits(const WideVector& low, const WideVector& high);

}  // namespace popcorn::protocols
