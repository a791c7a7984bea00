// Work that is known ahead brings its operands closer while the processor multiplies.
#pragma once

#include <cstddef>
#include <cstdint>

namespace popcorn::paillier {

/// Of a cache line; a group starts at one, and the lanes of a group of eight share it.
inline constexpr std::size_t kLineBytes = 64;

/// Asks for `count` words from `words` on, for the second-level cache. Not for addresses that depend on a
/// secret.
inline void fetch_ahead(const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kLineWords = kLineBytes / sizeof(std::uint64_t);
  for (std::size_t k = 0; k < count; k += kLineWords) __builtin_prefetch(words + k, 0, 2);
}

/// The start of the line of an operand, that is the group it lies in; null for null.
inline const std::uint64_t* first_of_line(const std::uint64_t* operand) {
  return reinterpret_cast<const std::uint64_t*>(reinterpret_cast<std::uintptr_t>(operand) &
                                                ~std::uintptr_t{kLineBytes - 1});
}

}  // namespace popcorn::paillier
