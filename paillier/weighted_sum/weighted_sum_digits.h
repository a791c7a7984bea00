// Weights of a row written in a radix, and the bucket walk over them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "paillier/weighted_sum/weighted_sum_program.h"

namespace popcorn::paillier {

struct Weight {
  TermSource source;
  std::uint32_t index;
  std::int64_t value;  ///< non-zero; positive unless the source is an input
};

/// Digits in [0, 2^bits), or in (−2^(bits−1), 2^(bits−1)] when `is_signed`.
struct Radix {
  unsigned bits;
  bool is_signed;
};

/// A term and the magnitude of its weight's digit at one place of the radix.
struct Term {
  TermSource source;
  std::uint16_t displacement;
  std::uint32_t index;
  std::uint64_t magnitude;
};

/// Terms of each place, the least significant first.
using RowDigits = std::vector<std::vector<Term>>;

RowDigits digits_of(std::span<const Weight> weights, Radix radix);

/// The steps of one row [Pippenger 1980]: per place a walk over the magnitudes, `radix_bits` doublings
/// between places.
std::vector<RowStep> bucket_walk(RowDigits digits, unsigned radix_bits);

/// Whether an operation other than add_sum multiplies once at every position.
bool multiplies_everywhere(RowOp op) noexcept;

}  // namespace popcorn::paillier
