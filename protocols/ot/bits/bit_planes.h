// Bits of words as planes on the wire: plane p holds bit p of every word, eight words a byte, each plane in
// whole bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace popcorn::protocols::ot {

/// Bit v of entry i: whether bit i of v is set.
inline constexpr std::array<std::uint32_t, 5> kSelect = {0xaaaaaaaa, 0xcccccccc, 0xf0f0f0f0, 0xff00ff00,
                                                         0xffff0000};

constexpr std::size_t plane_bytes(std::size_t count) noexcept {
  return (count + 7) / 8;
}

/// Planes [from, to) of some words beside each other, of more whose planes are `stride` bytes apart. All but
/// the last of those come as a multiple of 8. Constant-time.
void put_planes_at(std::span<const std::uint32_t> words, unsigned from, unsigned to, std::uint8_t* first,
                   std::size_t stride);
/// Adds them to `words`, whose bits there must be zero.
void get_planes_at(const std::uint8_t* first, std::size_t stride, unsigned from, unsigned to,
                   std::span<std::uint32_t> words);
/// Appends planes [from, to) of `words`. Constant-time.
void put_planes(std::span<const std::uint32_t> words, unsigned from, unsigned to, Bytes& out);
/// Adds planes [from, to) to `words`, whose bits there must be zero. `in` has (to −
/// from)·plane_bytes(words.size()) bytes; unused bits of the last byte are ignored.
void get_planes(ByteView in, unsigned from, unsigned to, std::span<std::uint32_t> words);

}  // namespace popcorn::protocols::ot
