// What the server draws at random: masks, flips, permutations.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/wide_vector.h"

namespace popcorn::protocols {

/// Takes large pieces from another generator and hands out small ones: a call of the system's generator costs
/// as much as a hundred bytes of it. What it still holds is wiped at the end. Not thread-safe.
class BufferedRng final : public Rng {
 public:
  explicit BufferedRng(Rng& source) : source_(source) {}
  BufferedRng(const BufferedRng&) = delete;
  BufferedRng& operator=(const BufferedRng&) = delete;
  ~BufferedRng() override;
  void fill(std::span<std::uint8_t> out) override;

 private:
  Rng& source_;
  std::array<std::uint8_t, 4096> buffer_{};
  std::size_t next_ = 4096;
};

/// `size` integers, uniform in [0, 2^bits), wide enough for values below 2^(bits + 1).
WideVector draw_integers(Rng& rng, std::size_t size, unsigned bits);
/// `size` uniform bits, one a byte.
std::vector<std::uint8_t> draw_bits(Rng& rng, std::size_t size);
/// A uniform permutation of 0 … size − 1 [Fisher–Yates; Durstenfeld 1964]. size < 2^32.
std::vector<std::uint32_t> draw_permutation(Rng& rng, std::size_t size);
/// The permutation q with q[p[i]] = i.
std::vector<std::uint32_t> inverse_permutation(std::span<const std::uint32_t> permutation);

}  // namespace popcorn::protocols
