// The code of the 1-of-16 extension and the fold of its rows.
//
// Walsh–Hadamard: bit x of the codeword of v is the inner product ⟨v, x⟩ of 4-bit vectors; each of the 16
// bits is repeated 16 times, 256 in all, so two codewords differ in exactly 128 places [KK13, sec 3].
//
// The fold is a public linear map from 256 to 128 bits, y = x₀ ⊕ M·x₁ for the two halves of x, with M sparse
// and fixed. For each of the 15 differences Δ of codewords, s ↦ fold(s ∧ Δ) has rank ≥ 127 (a test computes
// the ranks), so for uniform s it hides at least 127 bits, and a 128-bit correlation-robust hash of folded
// rows gives what one of 256 bits would, at half the price.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocols/ot/block.h"

namespace popcorn::protocols::ot {

inline constexpr std::size_t kCodeBits = 256;
inline constexpr unsigned kMaxChoices = 16;

/// The point x ∈ GF(2)⁴ whose inner product column i carries.
constexpr unsigned code_point(std::size_t column) {
  return static_cast<unsigned>(column % 16);
}
/// Bit `column` of the codeword of v.
constexpr unsigned code_bit(unsigned v, std::size_t column) {
  return static_cast<unsigned>(__builtin_popcount(v & code_point(column))) & 1U;
}

/// Row r of M has ones in the columns fold_taps()[r].
inline constexpr std::size_t kFoldTaps = 13;
const std::array<std::array<std::uint8_t, kFoldTaps>, 128>& fold_taps();

/// Folds 256 columns of `column_bytes` bytes to 128, in place: the first half of `columns` is the result.
void fold_columns(std::span<std::uint8_t> columns, std::size_t column_bytes);

/// fold(s ∧ codeword(v)) for every v, s given as 256 bytes of 0 or 1.
std::array<Block, kMaxChoices> folded_differences(std::span<const std::uint8_t> s);

}  // namespace popcorn::protocols::ot
