// Paillier with GMP alone, as a textbook would write it: the baseline of every speed figure. Not
// constant-time, not for production.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/random.h"
#include "paillier/keys/keys.h"

namespace popcorn::cli {

/// Operands are drawn once at construction; each method does one operation `count` times over them.
class GmpTextbook {
 public:
  GmpTextbook(const paillier::PrivateKey& key, Rng& rng);
  ~GmpTextbook();

  void multiply(std::size_t count);                        ///< a·b mod N²: mpz_mul and mpz_mod
  void square(std::size_t count);                          ///< a² mod N²
  void encrypt(std::size_t count);                         ///< (1 + mN)·r^N mod N²
  void decrypt(std::size_t count);                         ///< Paillier 1999, section 7, by CRT with mpz_powm
  void scalar_multiply(std::size_t count, unsigned bits);  ///< c^k mod N², k of `bits` <= 128 bits
  void weighted_sum(std::size_t count);  ///< one c^w and one multiplication per weight of 4 bits
  /// Likewise with |w| taken from `weights` in turn.
  void layer_terms(std::size_t count, std::span<const std::int32_t> weights);
  void divide(std::size_t count);                    ///< a/b mod N²: mpz_invert, mpz_mul, mpz_mod
  void add_plain(std::size_t count);                 ///< c·(1 + mN) mod N²
  void pack(std::size_t count, unsigned slot_bits);  ///< Horner step: sum^(2^slot_bits)·c mod N²
  void rerandomise(std::size_t count);               ///< c·r^N mod N²

 private:
  struct Numbers;
  std::unique_ptr<Numbers> numbers_;
};

}  // namespace popcorn::cli
