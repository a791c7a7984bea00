// Inside of PublicContext, for the sources of this folder only.
#pragma once

#include <memory>
#include <optional>

#include "paillier/big_integer.h"
#include "paillier/evaluator.h"
#include "paillier/exponentiation.h"
#include "paillier/kernels/modulus.h"
#include "paillier/once_pool.h"

namespace popcorn::paillier {

/// Window of the server's table: re-randomisation runs once per packed ciphertext, so a table of some
/// megabytes per client beats a larger one.
inline constexpr unsigned kGeneratorWindow = 6;
/// Bits of the exponents beyond those of the group: a factor is within 2^-80 of uniform on average.
inline constexpr std::size_t kHidingBits = 160;
/// Generators of an ordinary key, at most; see Re-randomisation in README.md for why there are so many. A
/// larger key has wider exponents, so that fewer do, and its N-th powers cost more.
inline constexpr std::size_t most_generators(unsigned key_bits) {
  return key_bits < 3072 ? 96 : 80;
}

/// Windows of the exponents of one generator. A subgroup key has only its own.
inline std::size_t windows_of_generator(KeyKind kind, unsigned key_bits) {
  const std::size_t bits =
      kHidingBits + (kind == KeyKind::subgroup ? 2 * subgroup_order_bits(key_bits) : key_bits);
  const std::size_t generators = kind == KeyKind::subgroup ? 1 : most_generators(key_bits);
  return (bits + kGeneratorWindow * generators - 1) / (kGeneratorWindow * generators);
}
/// Independent generators: 92, 77 and 79 for 2048, 3072 and 4096 bits.
inline std::size_t generator_count(KeyKind kind, unsigned key_bits) {
  if (kind == KeyKind::subgroup) return 1;
  const std::size_t bits = kGeneratorWindow * windows_of_generator(kind, key_bits);
  return (kHidingBits + key_bits + bits - 1) / bits;
}
/// Bits of the exponents of all generators of a factor.
inline std::size_t randomness_bits(KeyKind kind, unsigned key_bits) {
  return generator_count(kind, key_bits) * windows_of_generator(kind, key_bits) * kGeneratorWindow;
}

struct PublicContext::Parts {
  explicit Parts(PublicKey public_key) : key(std::move(public_key)), n(key.modulus()) {}

  PublicKey key;
  BigInteger n;                                      ///< N
  BigInteger n_squared;                              ///< N²
  std::shared_ptr<const kernels::Modulus> modulus;   ///< N² in kernel form
  std::unique_ptr<const FixedBaseTable> generators;  ///< products of powers of the g_i
  mutable OncePool<kernels::GroupBuffer> prepared;   ///< fresh ρ, a group each
  std::size_t n_limbs() const { return key.bits() / 64; }

  /// Fresh ρ = Π g_i^(e_i) of `groups` groups.
  void draw_randomness(std::uint64_t* rho, std::size_t groups, Rng& rng) const;
};

}  // namespace popcorn::paillier
