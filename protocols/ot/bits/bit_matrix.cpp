#include "protocols/ot/bits/bit_matrix.h"

#include <cstdint>
#include <utility>

namespace popcorn::protocols::ot {

namespace {

/// Bits whose place has no bit `kShift` set.
template <unsigned kShift>
constexpr std::uint64_t low_places() {
  std::uint64_t mask = 0;
  for (unsigned i = 0; i < 64; ++i) mask |= static_cast<std::uint64_t>((i & kShift) == 0) << i;
  return mask;
}

/// Swaps the two squares beside the diagonal in every square of 2·kShift bits.
template <unsigned kShift>
void swap_squares(Block* square) {
  constexpr std::uint64_t kMask = low_places<kShift>();
  for (std::size_t first = 0; first < kRowBits; first += std::size_t{2} * kShift) {
    for (std::size_t i = first; i < first + kShift; ++i) {
      Block& above = square[i];
      Block& below = square[i + kShift];
      const Block swapped = {((above.low >> kShift) ^ below.low) & kMask,
                             ((above.high >> kShift) ^ below.high) & kMask};
      below ^= swapped;
      above ^= Block{swapped.low << kShift, swapped.high << kShift};
    }
  }
}

/// 128×128 bits in place [Warren, Hacker's Delight, sec 7-3].
void transpose_square(Block* square) {
  for (std::size_t i = 0; i < 64; ++i) std::swap(square[i].high, square[i + 64].low);
  swap_squares<32>(square);
  swap_squares<16>(square);
  swap_squares<8>(square);
  swap_squares<4>(square);
  swap_squares<2>(square);
  swap_squares<1>(square);
}

}  // namespace

void transpose(const Block* columns, std::size_t stride, std::size_t groups, Block* rows) {
  for (std::size_t group = 0; group < groups; ++group) {
    Block* const square = rows + group * kRowBits;
    for (std::size_t i = 0; i < kRowBits; ++i) square[i] = columns[i * stride + group];
    transpose_square(square);
  }
}

}  // namespace popcorn::protocols::ot
