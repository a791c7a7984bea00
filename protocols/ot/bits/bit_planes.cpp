#include "protocols/ot/bits/bit_planes.h"

#include <cstring>

namespace popcorn::protocols::ot {

namespace {

/// Bit `plane` of eight words as a byte.
std::uint8_t gather(const std::uint32_t* words, unsigned plane) {
  std::uint32_t byte = 0;
  for (unsigned k = 0; k < 8; ++k) byte |= ((words[k] >> plane) & 1U) << k;
  return static_cast<std::uint8_t>(byte);
}

void scatter(std::uint8_t byte, unsigned plane, std::uint32_t* words) {
  for (unsigned k = 0; k < 8; ++k) words[k] |= ((static_cast<std::uint32_t>(byte) >> k) & 1U) << plane;
}

}  // namespace

void put_planes(std::span<const std::uint32_t> words, unsigned from, unsigned to, Bytes& out) {
  const std::size_t bytes = plane_bytes(words.size());
  const std::size_t whole = words.size() / 8;
  std::uint32_t rest[8] = {};
  std::memcpy(rest, words.data() + 8 * whole, (words.size() - 8 * whole) * sizeof(std::uint32_t));
  const std::size_t start = out.size();
  out.resize(start + (to - from) * bytes);
  for (unsigned plane = from; plane < to; ++plane) {
    std::uint8_t* const to_bytes = out.data() + start + (plane - from) * bytes;
    for (std::size_t i = 0; i < whole; ++i) to_bytes[i] = gather(words.data() + 8 * i, plane);
    if (whole < bytes) to_bytes[whole] = gather(rest, plane);
  }
}

void get_planes(ByteView in, unsigned from, unsigned to, std::span<std::uint32_t> words) {
  const std::size_t bytes = plane_bytes(words.size());
  const std::size_t whole = words.size() / 8;
  std::uint32_t rest[8] = {};
  for (unsigned plane = from; plane < to; ++plane) {
    const std::uint8_t* const from_bytes = in.data() + (plane - from) * bytes;
    for (std::size_t i = 0; i < whole; ++i) scatter(from_bytes[i], plane, words.data() + 8 * i);
    if (whole < bytes) scatter(from_bytes[whole], plane, rest);
  }
  for (std::size_t k = 0; 8 * whole + k < words.size(); ++k) words[8 * whole + k] |= rest[k];
}

}  // namespace popcorn::protocols::ot
