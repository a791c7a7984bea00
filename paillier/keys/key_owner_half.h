// What the owner of a key precomputes modulo the square of one prime. For the sources of this folder only.
#pragma once

#include <gmp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "paillier/exponentiation.h"
#include "paillier/kernels/modulus.h"
#include "paillier/keys/secret_logarithm.h"

namespace popcorn::paillier {

/// What is precomputed modulo the square of one of the primes.
struct KeyOwnerHalf {
  std::shared_ptr<const kernels::Modulus> modulus;  ///< p²
  std::unique_ptr<const FixedBaseTable> generator;  ///< powers of h_N mod p²
  std::array<kernels::GroupBuffer, 2>
      plaintext_parts;  ///< p·m_i ↦ residue of m_i·2^(|p|·i)·N, for the halves of m
  std::array<kernels::GroupBuffer, 4>
      ciphertext_parts;  ///< c_i ↦ residue of c_i·2^(|p|·i), for the quarters of c
  std::unique_ptr<const SecretLogarithm> logarithm;  ///< for the exponent p − 1, or twice the secret order
  std::vector<std::uint64_t> prime;                  ///< p
  kernels::GroupBuffer scale;  ///< residue of L_p((1 + N)^exponent mod p²)⁻¹ mod p, for p times q⁻¹
};

/// @param order of the subgroup of a subgroup key, 0 for others  @param h_n the generator h^N mod N²
/// @param factor what L_p(c^e)·scale is to hold beside the plaintext  @param limbs of N
KeyOwnerHalf make_half(const kernels::Kernel& kernel, mpz_srcptr prime, mpz_srcptr order, mpz_srcptr n,
                       mpz_srcptr h_n, mpz_srcptr factor, std::size_t limbs, std::size_t randomness_bits);

/// R·value mod p²: what a plain number must be multiplied by to become the residue of number·value.
kernels::GroupBuffer part_factor(const kernels::Modulus& modulus, mpz_srcptr value);

/// sum (a group) = Σ_i residue of part_i · factor_i: numbers longer than the prime, pieces of base_limbs()
/// limbs, one a factor, lane after lane, into residues. The pieces are loaded as u, or as w (which multiplies
/// them by the prime).
void import_pieces(const kernels::Modulus& modulus, std::uint64_t* sum, const std::uint64_t* values,
                   std::span<const kernels::GroupBuffer> factors, bool as_w);

}  // namespace popcorn::paillier
