// 128 bits.
#pragma once

#include <cstdint>

namespace popcorn::protocols::ot {

struct Block {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend Block operator^(Block a, Block b) { return {a.low ^ b.low, a.high ^ b.high}; }
  Block& operator^=(Block other) { return *this = *this ^ other; }
  friend bool operator==(const Block&, const Block&) = default;
};

/// Bits of a seed, and of security, of everything in this folder.
inline constexpr unsigned kSecurityBits = 128;

}  // namespace popcorn::protocols::ot
