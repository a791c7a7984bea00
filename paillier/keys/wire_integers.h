// Fixed-width big-endian bytes to and from little-endian 64-bit limbs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace popcorn::paillier {

inline std::uint64_t byte_swap(std::uint64_t word) {
  return __builtin_bswap64(word);
}

/// 8·limbs bytes at `bytes` into `limbs` words.
inline void limbs_from_big_endian(std::uint64_t* words, std::size_t limbs, const std::uint8_t* bytes) {
  for (std::size_t i = 0; i < limbs; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + 8 * (limbs - 1 - i), sizeof word);
    words[i] = byte_swap(word);
  }
}

inline void limbs_to_big_endian(std::uint8_t* bytes, const std::uint64_t* words, std::size_t limbs) {
  for (std::size_t i = 0; i < limbs; ++i) {
    const std::uint64_t word = byte_swap(words[i]);
    std::memcpy(bytes + 8 * (limbs - 1 - i), &word, sizeof word);
  }
}

static_assert(std::endian::native == std::endian::little, "limbs are stored little-endian");

}  // namespace popcorn::paillier
