// Multiply-accumulate on little-endian two's complement integers of a fixed number of 64-bit words.
//
// All arithmetic is modulo 2^(64·limbs): sums may overflow on the way as long as the result fits its width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/wide_vector.h"

namespace popcorn::models {

/// acc += x·factor over `limbs` words.
template <std::size_t kLimbs>
inline void add_product(std::uint64_t* acc, const std::uint64_t* x, std::uint64_t factor, std::size_t limbs) {
  const std::size_t count = kLimbs != 0 ? kLimbs : limbs;
  if constexpr (kLimbs == 1) {
    acc[0] += x[0] * factor;
    return;
  }
  unsigned __int128 carry = 0;
  for (std::size_t k = 0; k < count; ++k) {
    carry += static_cast<unsigned __int128>(x[k]) * factor + acc[k];
    acc[k] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
}

/// acc −= x·factor over `limbs` words.
template <std::size_t kLimbs>
inline void subtract_product(std::uint64_t* acc, const std::uint64_t* x, std::uint64_t factor,
                             std::size_t limbs) {
  const std::size_t count = kLimbs != 0 ? kLimbs : limbs;
  if constexpr (kLimbs == 1) {
    acc[0] -= x[0] * factor;
    return;
  }
  std::uint64_t carry = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const unsigned __int128 product = static_cast<unsigned __int128>(x[k]) * factor + carry;
    const auto low = static_cast<std::uint64_t>(product);
    carry = static_cast<std::uint64_t>(product >> 64) + (acc[k] < low ? 1 : 0);
    acc[k] -= low;
  }
}

/// acc += x·factor for a signed factor.
template <std::size_t kLimbs>
inline void accumulate(std::uint64_t* acc, const std::uint64_t* x, std::int64_t factor, std::size_t limbs) {
  if (factor >= 0) {
    add_product<kLimbs>(acc, x, static_cast<std::uint64_t>(factor), limbs);
  } else {
    subtract_product<kLimbs>(acc, x, ~static_cast<std::uint64_t>(factor) + 1, limbs);
  }
}

/// Calls function(std::integral_constant<std::size_t, L>) with L = limbs where a specialised width pays, else
/// L = 0, which stands for "known at run time only".
template <typename Function>
void with_limbs(std::size_t limbs, const Function& function) {
  switch (limbs) {
    case 1:
      return function(std::integral_constant<std::size_t, 1>{});
    case 2:
      return function(std::integral_constant<std::size_t, 2>{});
    case 3:
      return function(std::integral_constant<std::size_t, 3>{});
    case 4:
      return function(std::integral_constant<std::size_t, 4>{});
    case 5:
      return function(std::integral_constant<std::size_t, 5>{});
    case 6:
      return function(std::integral_constant<std::size_t, 6>{});
    default:
      return function(std::integral_constant<std::size_t, 0>{});
  }
}

/// The values modulo 2^(64·limbs): sign-extended, or cut off without a check.
WideVector modulo_width(const WideVector& values, std::size_t limbs);

}  // namespace popcorn::models
