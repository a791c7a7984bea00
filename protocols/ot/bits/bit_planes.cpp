#include "protocols/ot/bits/bit_planes.h"

#include <algorithm>
#include <array>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "protocols/ot/bits/value_loop.h"

namespace popcorn::protocols::ot {

namespace {

/// Words that are looked at together: two bytes of every plane.
constexpr std::size_t kTogether = 16;
using Group = std::array<std::uint32_t, kTogether>;

#ifdef __SSE2__

/// Byte `place` of each of sixteen words.
__m128i bytes_of(const std::uint32_t* words, unsigned place) {
  const __m128i low = _mm_set1_epi32(0xff);
  const auto load = [&](unsigned k) {
    const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(words + 4 * k));
    return _mm_and_si128(_mm_srl_epi32(four, _mm_cvtsi32_si128(static_cast<int>(8 * place))), low);
  };
  return _mm_packus_epi16(_mm_packs_epi32(load(0), load(1)), _mm_packs_epi32(load(2), load(3)));
}

/// planes[p − from] ← bit p of sixteen words.
void gather(const std::uint32_t* words, unsigned from, unsigned to, std::uint16_t* planes) {
  for (unsigned place = from / 8; 8 * place < to; ++place) {
    __m128i bytes = bytes_of(words, place);
    for (unsigned bit = 8; bit-- > 0;) {  // the highest bit of every byte, then the next
      const unsigned plane = 8 * place + bit;
      if (plane >= from && plane < to)
        planes[plane - from] = static_cast<std::uint16_t>(_mm_movemask_epi8(bytes));
      bytes = _mm_add_epi8(bytes, bytes);
    }
  }
}

/// Sixteen bytes, each all ones or zero as the mask's bit is.
__m128i spread(std::uint16_t mask) {
  const __m128i bits = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201U));
  __m128i x = _mm_set1_epi16(static_cast<short>(mask));
  x = _mm_unpacklo_epi8(x, x);
  x = _mm_shufflehi_epi16(_mm_shufflelo_epi16(x, 0x00), 0x55);
  return _mm_cmpeq_epi8(_mm_and_si128(x, bits), bits);
}

/// Adds bit p of sixteen words from planes[p − from].
void scatter(const std::uint16_t* planes, unsigned from, unsigned to, std::uint32_t* words) {
  const __m128i zero = _mm_setzero_si128();
  for (unsigned place = from / 8; 8 * place < to; ++place) {
    __m128i bytes = zero;
    for (unsigned plane = std::max(from, 8 * place); plane < std::min(to, 8 * place + 8); ++plane) {
      const __m128i bit = _mm_set1_epi8(static_cast<char>(1U << (plane % 8)));
      bytes = _mm_or_si128(bytes, _mm_and_si128(spread(planes[plane - from]), bit));
    }
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(8 * place));
    const auto add = [&](unsigned k, __m128i four) {
      auto* const at = reinterpret_cast<__m128i*>(words + 4 * k);
      _mm_storeu_si128(at, _mm_or_si128(_mm_loadu_si128(at), _mm_sll_epi32(four, shift)));
    };
    const __m128i low = _mm_unpacklo_epi8(bytes, zero);
    const __m128i high = _mm_unpackhi_epi8(bytes, zero);
    add(0, _mm_unpacklo_epi16(low, zero));
    add(1, _mm_unpackhi_epi16(low, zero));
    add(2, _mm_unpacklo_epi16(high, zero));
    add(3, _mm_unpackhi_epi16(high, zero));
  }
}

#else

void gather(const std::uint32_t* words, unsigned from, unsigned to, std::uint16_t* planes) {
  for (unsigned plane = from; plane < to; ++plane) {
    std::uint32_t bits = 0;
    for (unsigned k = 0; k < kTogether; ++k) bits |= ((words[k] >> plane) & 1U) << k;
    planes[plane - from] = static_cast<std::uint16_t>(bits);
  }
}

void scatter(const std::uint16_t* planes, unsigned from, unsigned to, std::uint32_t* words) {
  for (unsigned plane = from; plane < to; ++plane) {
    const std::uint32_t bits = planes[plane - from];
    for (unsigned k = 0; k < kTogether; ++k) words[k] |= ((bits >> k) & 1U) << plane;
  }
}

#endif

/// Two bytes of a plane, or its last one.
void write(std::uint16_t bits, std::uint8_t* to, std::size_t bytes) {
  to[0] = static_cast<std::uint8_t>(bits);
  if (bytes > 1) to[1] = static_cast<std::uint8_t>(bits >> 8);
}

std::uint16_t read(const std::uint8_t* from, std::size_t bytes) {
  return static_cast<std::uint16_t>(from[0] | (bytes > 1 ? from[1] << 8 : 0));
}

/// body(first word, words, bytes of a plane) for every group.
template <typename Body>
void for_each_group(std::size_t count, const Body& body) {
  for (std::size_t first = 0; first < count; first += kTogether) {
    const std::size_t words = std::min(kTogether, count - first);
    body(first, words, plane_bytes(words));
  }
}

}  // namespace

void put_planes_at(std::span<const std::uint32_t> words, unsigned from, unsigned to, std::uint8_t* first,
                   std::size_t stride) {
  for_each_group(words.size(), [&](std::size_t at, std::size_t count, std::size_t of_plane) {
    Group rest{};
    const std::uint32_t* group = words.data() + at;
    if (count < kTogether) group = std::copy_n(group, count, rest.begin()) - count;
    std::array<std::uint16_t, 32> planes;
    gather(group, from, to, planes.data());
    std::uint8_t* const place = first + at / 8;
    for (unsigned plane = 0; plane < to - from; ++plane)
      write(planes[plane], place + plane * stride, of_plane);
  });
}

void get_planes_at(const std::uint8_t* first, std::size_t stride, unsigned from, unsigned to,
                   std::span<std::uint32_t> words) {
  for_each_group(words.size(), [&](std::size_t at, std::size_t count, std::size_t of_plane) {
    std::array<std::uint16_t, 32> planes;
    for (unsigned plane = 0; plane < to - from; ++plane)
      planes[plane] = read(first + at / 8 + plane * stride, of_plane);
    if (count == kTogether) {
      scatter(planes.data(), from, to, words.data() + at);
      return;
    }
    Group rest{};
    scatter(planes.data(), from, to, rest.data());
    for (std::size_t k = 0; k < count; ++k) words[at + k] |= rest[k];
  });
}

void put_planes(std::span<const std::uint32_t> words, unsigned from, unsigned to, Bytes& out) {
  const std::size_t bytes = plane_bytes(words.size());
  const std::size_t start = out.size();
  out.resize(start + (to - from) * bytes);
  for_each_part(words.size(), [&](std::size_t first, std::size_t count) {
    put_planes_at(words.subspan(first, count), from, to, out.data() + start + first / 8, bytes);
  });
}

void get_planes(ByteView in, unsigned from, unsigned to, std::span<std::uint32_t> words) {
  const std::size_t bytes = plane_bytes(words.size());
  for_each_part(words.size(), [&](std::size_t first, std::size_t count) {
    get_planes_at(in.data() + first / 8, bytes, from, to, words.subspan(first, count));
  });
}

}  // namespace popcorn::protocols::ot
