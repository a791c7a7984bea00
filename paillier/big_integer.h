// A GMP integer with automatic storage, for public values (secret ones live in SecretMpz). Internal to this
// folder.
#pragma once

#include <gmp.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace popcorn::paillier {

/// Little-endian limbs of a non-negative value below 2^(64·count).
inline std::vector<std::uint64_t> limbs_of(mpz_srcptr value, std::size_t count) {
  std::vector<std::uint64_t> result(count);
  mpz_export(result.data(), nullptr, -1, 8, 0, 0, value);
  return result;
}

class BigInteger {
 public:
  BigInteger() { mpz_init(value_); }
  explicit BigInteger(ByteView big_endian) {
    mpz_init(value_);
    set_bytes(big_endian);
  }
  BigInteger(BigInteger&& other) noexcept {
    mpz_init(value_);
    mpz_swap(value_, other.value_);
  }
  BigInteger& operator=(BigInteger&& other) noexcept {
    mpz_swap(value_, other.value_);
    return *this;
  }
  BigInteger(const BigInteger&) = delete;
  BigInteger& operator=(const BigInteger&) = delete;
  ~BigInteger() { mpz_clear(value_); }

  mpz_ptr get() noexcept { return value_; }
  mpz_srcptr get() const noexcept { return value_; }
  std::size_t bits() const { return mpz_sgn(value_) == 0 ? 0 : mpz_sizeinbase(value_, 2); }

  void set_bytes(ByteView big_endian) {
    mpz_import(value_, big_endian.size(), 1, 1, 1, 0, big_endian.data());
  }
  void set_limbs(std::span<const std::uint64_t> limbs) {
    mpz_import(value_, limbs.size(), -1, 8, 0, 0, limbs.data());
  }
  /// Little-endian limbs of |value|, padded with zeros to `count`; the value must fit.
  std::vector<std::uint64_t> limbs(std::size_t count) const { return limbs_of(value_, count); }
  /// Uniform in [0, bound), by rejection.
  void set_random_below(const BigInteger& bound, Rng& rng) {
    const std::size_t count = (bound.bits() + 7) / 8;
    Bytes buffer(count);
    const unsigned spare = static_cast<unsigned>(8 * count - bound.bits());
    do {
      rng.fill(buffer);
      if (!buffer.empty()) buffer[0] = static_cast<std::uint8_t>(buffer[0] & (0xff >> spare));
      set_bytes(buffer);
    } while (mpz_cmp(value_, bound.value_) >= 0);
  }

 private:
  mpz_t value_;
};

}  // namespace popcorn::paillier
