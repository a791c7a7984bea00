#include "protocols/ot/code.h"

namespace popcorn::protocols::ot {

namespace {

/// Fixed for ever: both parties and all versions must use the same map. Found by trying seeds 1, 2, … until
/// the ranks in code.h held.
constexpr std::uint64_t kFoldSeed = 4;

std::array<std::array<std::uint8_t, kFoldTaps>, 128> make_taps() {
  std::array<std::array<std::uint8_t, kFoldTaps>, 128> taps{};
  std::uint64_t state = kFoldSeed;
  for (auto& row : taps) {
    for (std::size_t k = 0; k < kFoldTaps;) {
      state += 0x9e3779b97f4a7c15;  // splitmix64
      std::uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      const auto column = static_cast<std::uint8_t>((z ^ (z >> 31)) % 128);
      bool fresh = true;
      for (std::size_t i = 0; i < k; ++i) fresh = fresh && row[i] != column;
      if (fresh) row[k++] = column;
    }
  }
  return taps;
}

}  // namespace

const std::array<std::array<std::uint8_t, kFoldTaps>, 128>& fold_taps() {
  static const auto taps = make_taps();
  return taps;
}

void fold_columns(std::span<std::uint8_t> columns, std::size_t column_bytes) {
  for (std::size_t row = 0; row < 128; ++row) {
    std::uint8_t* const target = columns.data() + row * column_bytes;
    for (const std::uint8_t tap : fold_taps()[row]) {
      const std::uint8_t* const source = columns.data() + (128 + tap) * column_bytes;
      for (std::size_t byte = 0; byte < column_bytes; ++byte) target[byte] ^= source[byte];
    }
  }
}

std::array<Block, kMaxChoices> folded_differences(std::span<const std::uint8_t> s) {
  std::array<Block, kMaxChoices> folded{};
  for (unsigned v = 0; v < kMaxChoices; ++v) {
    std::vector<std::uint8_t> bits(kCodeBits);
    for (std::size_t i = 0; i < kCodeBits; ++i) bits[i] = static_cast<std::uint8_t>(s[i] & code_bit(v, i));
    fold_columns(bits, 1);
    for (std::size_t i = 0; i < 64; ++i) {
      folded[v].low |= static_cast<std::uint64_t>(bits[i]) << i;
      folded[v].high |= static_cast<std::uint64_t>(bits[64 + i]) << i;
    }
  }
  return folded;
}

}  // namespace popcorn::protocols::ot
