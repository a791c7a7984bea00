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

/// Window of the server's table: re-randomisation runs once per packed ciphertext, so a table of a few
/// megabytes per client that fits the second-level cache beats a larger one.
inline constexpr unsigned kGeneratorWindow = 6;

/// Bits of the encryption exponent α: half the modulus, or the bits of the order of the subgroup.
inline std::size_t randomness_bits(KeyKind kind, unsigned key_bits) {
  return kind == KeyKind::subgroup ? 2 * subgroup_order_bits(key_bits) : key_bits / 2;
}

struct PublicContext::Parts {
  explicit Parts(PublicKey public_key) : key(std::move(public_key)), n(key.modulus()) {}

  PublicKey key;
  BigInteger n;                                     ///< N
  BigInteger n_squared;                             ///< N²
  std::shared_ptr<const kernels::Modulus> modulus;  ///< N² in kernel form
  std::unique_ptr<const FixedBaseTable> generator;  ///< powers of h_N = h^N mod N²
  mutable OncePool<kernels::GroupBuffer> prepared;  ///< fresh ρ, a group each
  std::size_t n_limbs() const { return key.bits() / 64; }

  /// Fresh ρ = h_N^α of `groups` groups.
  void draw_randomness(std::uint64_t* rho, std::size_t groups, Rng& rng) const;
};

}  // namespace popcorn::paillier
