// A GMP integer whose memory is wiped when it goes away. Internal to this folder.
#pragma once

#include <gmp.h>

#include "base/bytes.h"
#include "base/random.h"
#include "base/secret_bytes.h"

namespace popcorn::paillier {

/// Owns an mpz_t with room for products of two 4096-bit numbers from the start, so that GMP does not
/// reallocate (and leave an unwiped copy behind) in the arithmetic of keys. Scratch memory inside GMP's
/// functions is out of reach.
class SecretMpz {
 public:
  SecretMpz();
  explicit SecretMpz(unsigned long value);
  explicit SecretMpz(ByteView big_endian);
  SecretMpz(SecretMpz&& other) noexcept;
  SecretMpz& operator=(SecretMpz&& other) noexcept;
  SecretMpz(const SecretMpz&) = delete;
  SecretMpz& operator=(const SecretMpz&) = delete;
  ~SecretMpz();

  operator mpz_ptr() noexcept { return value_; }  // NOLINT(google-explicit-constructor): GMP's arguments
  operator mpz_srcptr() const noexcept { return value_; }  // NOLINT(google-explicit-constructor)
  mpz_ptr operator->() noexcept { return value_; }         // GMP's macros (mpz_sgn, mpz_odd_p)
  mpz_srcptr operator->() const noexcept { return value_; }

  /// Bits of |value|, 0 for 0.
  std::size_t bit_length() const noexcept;

 private:
  mpz_t value_;
};

/// Big-endian, exactly `size` bytes. The value is non-negative and fits.
Bytes to_bytes(mpz_srcptr value, std::size_t size);
SecretBytes to_secret_bytes(mpz_srcptr value, std::size_t size);
/// Big-endian without leading zeros; empty for 0.
SecretBytes to_minimal_bytes(mpz_srcptr value);

/// Uniform with exactly `bits` random bits: [0, 2^bits).
void random_bits(mpz_ptr out, unsigned bits, Rng& rng);
/// Within statistical distance 2^-128 of uniform in [0, bound), bound > 0.
void random_below(mpz_ptr out, mpz_srcptr bound, Rng& rng);

}  // namespace popcorn::paillier
