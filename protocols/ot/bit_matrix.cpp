#include "protocols/ot/bit_matrix.h"

#include <cstring>

namespace popcorn::protocols::ot {

namespace {

/// Transposes 8×8 bits: byte r of x is row r [Warren, Hacker's Delight, sec 7-3].
std::uint64_t transpose_8x8(std::uint64_t x) {
  std::uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x = x ^ t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x = x ^ t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ t ^ (t << 28);
}

}  // namespace

std::vector<Block> transpose(std::span<const std::uint8_t> columns, std::size_t column_bytes) {
  std::vector<Block> rows(8 * column_bytes);
  auto* const out = reinterpret_cast<std::uint8_t*>(rows.data());
  for (std::size_t byte = 0; byte < column_bytes; ++byte) {
    for (std::size_t i = 0; i < kRowBits; i += 8) {
      std::uint64_t square = 0;
      for (std::size_t k = 0; k < 8; ++k) {
        square |= static_cast<std::uint64_t>(columns[(i + k) * column_bytes + byte]) << (8 * k);
      }
      square = transpose_8x8(square);
      for (std::size_t j = 0; j < 8; ++j) {
        out[(8 * byte + j) * sizeof(Block) + i / 8] = static_cast<std::uint8_t>(square >> (8 * j));
      }
    }
  }
  return rows;
}

}  // namespace popcorn::protocols::ot
