#include "protocols/packing/draws.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace popcorn::protocols {

static_assert(std::endian::native == std::endian::little, "random bytes are read as little-endian words");

BufferedRng::~BufferedRng() {
  // Through a volatile pointer, so that the stores cannot be left out as dead.
  volatile std::uint8_t* const bytes = buffer_.data();
  for (std::size_t i = 0; i < buffer_.size(); ++i) bytes[i] = 0;
}

void BufferedRng::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    if (next_ == buffer_.size()) {
      source_.fill(buffer_);
      next_ = 0;
    }
    const std::size_t count = std::min(out.size(), buffer_.size() - next_);
    std::memcpy(out.data(), buffer_.data() + next_, count);
    next_ += count;
    out = out.subspan(count);
  }
}

WideVector draw_integers(Rng& rng, std::size_t size, unsigned bits) {
  WideVector values(size, WideVector::limbs_for_bits(bits + 1));
  const std::span<std::uint64_t> words = values.words();
  rng.fill({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
  for (std::size_t i = 0; i < size; ++i) {
    const std::span<std::uint64_t> value = values[i];
    value[bits / 64] &= (std::uint64_t{1} << (bits % 64)) - 1;
    for (std::size_t k = bits / 64 + 1; k < value.size(); ++k) value[k] = 0;
  }
  return values;
}

std::vector<std::uint8_t> draw_bits(Rng& rng, std::size_t size) {
  std::vector<std::uint8_t> bits(size);
  rng.fill(bits);
  for (std::uint8_t& bit : bits) bit &= 1;
  return bits;
}

std::vector<std::uint32_t> draw_permutation(Rng& rng, std::size_t size) {
  std::vector<std::uint32_t> places(size);
  std::iota(places.begin(), places.end(), std::uint32_t{0});
  BufferedRng buffered(rng);
  for (std::size_t i = size; i > 1; --i) std::swap(places[i - 1], places[buffered.below(i)]);
  return places;
}

std::vector<std::uint32_t> inverse_permutation(std::span<const std::uint32_t> permutation) {
  std::vector<std::uint32_t> inverse(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i)
    inverse[permutation[i]] = static_cast<std::uint32_t>(i);
  return inverse;
}

}  // namespace popcorn::protocols
