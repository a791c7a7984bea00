// Paillier as the paper writes it, with GMP alone and nothing clever: the oracle that tests compare with.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/random.h"

namespace popcorn::test {

/// One key pair [Paillier 1999, scheme 1 with g = 1 + N]. Plaintexts are signed decimal text in (−N/2, N/2),
/// and are taken modulo N; ciphertexts are big-endian of 2·|N|/8 bytes, as on the wire. Slow, not secret,
/// thread-safe.
class TextbookPaillier {
 public:
  /// From the two primes, big-endian.
  TextbookPaillier(ByteView p, ByteView q);
  ~TextbookPaillier();
  TextbookPaillier(TextbookPaillier&&) noexcept;
  TextbookPaillier& operator=(TextbookPaillier&&) noexcept;

  /// N, big-endian, |N|/8 bytes.
  Bytes modulus() const;
  std::size_t ciphertext_bytes() const;

  /// (1 + mN)·r^N mod N², r big-endian in Z*_N.
  Bytes encrypt(const std::string& m, ByteView r) const;
  /// Likewise with r drawn from `rng`.
  Bytes encrypt(const std::string& m, Rng& rng) const;
  /// (1 + mN)·h^(N·alpha) mod N² [DJN10, sec 4.2]; h and alpha big-endian.
  Bytes encrypt_with_generator(const std::string& m, ByteView h, ByteView alpha) const;
  /// m with c = (1 + mN)·r^N: L(c^λ mod N²)·λ^-1 mod N, L(u) = (u − 1)/N, signed.
  std::string decrypt(ByteView c) const;
  /// r ∈ Z*_N with c = (1 + mN)·r^N: what the key owner learns about a ciphertext that was not re-randomised.
  Bytes randomness(ByteView c) const;

  /// Encrypts the sum: a·b mod N².
  Bytes add(ByteView a, ByteView b) const;
  /// Encrypts the difference: a·b^-1 mod N².
  Bytes subtract(ByteView a, ByteView b) const;
  /// Encrypts m + k: c·(1 + kN) mod N².
  Bytes add_plain(ByteView c, const std::string& k) const;
  /// Encrypts k·m: c^k mod N², k any signed integer.
  Bytes multiply(ByteView c, const std::string& k) const;

 private:
  struct Numbers;
  std::unique_ptr<const Numbers> numbers_;
};

}  // namespace popcorn::test
