// Where random bytes come from.
#pragma once

#include <cstdint>
#include <span>

namespace popcorn {

/// A source of random bytes. Whoever needs randomness takes an Rng at construction or as an argument and has
/// no way to change it afterwards; production code passes system_rng(), tests a seeded one from
/// tests/support.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  /// A uniform 64-bit word.
  std::uint64_t next_u64();
  /// Uniform in [0, bound), bound > 0; by rejection, so variable time in `bound` only.
  std::uint64_t below(std::uint64_t bound);
};

/// The cryptographic generator of OpenSSL, seeded by the operating system. Thread-safe.
/// fill() throws Error "random.unavailable" when the generator fails.
Rng& system_rng();

}  // namespace popcorn
