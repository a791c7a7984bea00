#include "protocols/packing/wide_math.h"

#include <algorithm>

namespace popcorn::protocols {

namespace {

/// words += addend·2^(64·limb) modulo 2^(64·size).
void add_at(std::span<std::uint64_t> words, std::size_t limb, std::uint64_t addend) {
  for (std::size_t k = limb; k < words.size(); ++k) {
    words[k] += addend;
    addend = static_cast<std::uint64_t>(words[k] < addend);
  }
}

/// words -= subtrahend·2^(64·limb) modulo 2^(64·size).
void subtract_at(std::span<std::uint64_t> words, std::size_t limb, std::uint64_t subtrahend) {
  for (std::size_t k = limb; k < words.size(); ++k) {
    const std::uint64_t before = words[k];
    words[k] = before - subtrahend;
    subtrahend = static_cast<std::uint64_t>(before < subtrahend);
  }
}

}  // namespace

void add_power_of_two(WideVector& x, unsigned bit) {
  for (std::size_t i = 0; i < x.size(); ++i) add_at(x[i], bit / 64, std::uint64_t{1} << (bit % 64));
}

void subtract_power_of_two(WideVector& x, unsigned bit) {
  for (std::size_t i = 0; i < x.size(); ++i) subtract_at(x[i], bit / 64, std::uint64_t{1} << (bit % 64));
}

void mask_inplace(WideVector& x, std::span<const std::uint8_t> keep) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint64_t mask = 0 - static_cast<std::uint64_t>(keep[i] != 0);
    for (std::uint64_t& word : x[i]) word &= mask;
  }
}

WideVector gather(const WideVector& x, std::span<const std::uint32_t> places) {
  WideVector result(places.size(), x.limbs());
  for (std::size_t i = 0; i < places.size(); ++i) std::ranges::copy(x[places[i]], result[i].begin());
  return result;
}

unsigned difference_bits(const WideVector& low, const WideVector& high) {
  const std::size_t limbs = std::max(low.limbs(), high.limbs()) + 1;
  const WideVector subtrahend = low.resized(limbs);
  WideVector difference = high.resized(limbs);
  for (std::size_t i = 0; i < difference.size(); ++i) {
    for (std::size_t k = 0; k < limbs; ++k) subtract_at(difference[i], k, subtrahend[i][k]);
  }
  return static_cast<unsigned>(difference.max_bit_length());
}

}  // namespace popcorn::protocols
