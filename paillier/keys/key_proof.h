// A proof, without interaction, that a modulus is fit for Paillier: gcd(N, φ(N)) = 1, and few prime factors.
//
// Without the first, (1 + N)^m·r^N reaches only a part of Z*_{N²} and what the server masks or re-randomises
// modulo a divisor of N is not hidden: N = p^a·q gives its maker the server's weights. The derivation stands
// in paillier/README.md. Internal to this folder.
#pragma once

#include <gmp.h>

#include "base/bytes.h"
#include "base/sha256.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

/// N-th roots in a proof: with no prime factor below 2^16 in N, gcd(N, φ(N)) ≠ 1 passes with probability at
/// most 2^(−16·8) for each value of the hash [GRSB19, sec 3.1].
inline constexpr unsigned kNthRoots = 8;
/// Square roots in a proof: t prime factors pass with probability at most 2^((2−t)·8) for each value of the
/// hash, so that 18 or more pass with at most 2^-128.
inline constexpr unsigned kSquareRoots = 8;

/// u1, u2, the N-th roots, the square roots (|N|/8 bytes each, big-endian), then a byte with the bits b1 and
/// one with the bits b2, bit i for root i.
constexpr std::size_t key_proof_bytes(std::size_t modulus_bytes) noexcept {
  return (2 + kNthRoots + kSquareRoots) * modulus_bytes + 2;
}

/// What the roots are roots of: elements derived from N, u1 and u2 by SHA-256, within 2^-128 of uniform
/// modulo N.
class KeyChallenge {
 public:
  /// Of numbers below N, N of a whole number of bytes.
  KeyChallenge(mpz_srcptr modulus, mpz_srcptr u1, mpz_srcptr u2);
  /// index < kNthRoots
  SecretMpz nth_power(unsigned index) const { return element(0, index); }
  /// index < kSquareRoots
  SecretMpz square(unsigned index) const { return element(1, index); }

 private:
  SecretMpz element(std::uint8_t kind, unsigned index) const;

  SecretMpz modulus_;
  Sha256 seed_;
};

/// Of N = p·q with distinct odd primes and gcd(N, φ(N)) = 1. Depends on the primes alone, whose order does
/// not matter: a key has one proof, however often it is made. About 8 exponentiations modulo each of p and q
/// with secret exponents in constant time; what else depends on the secrets (CRT, Legendre symbols, square
/// roots modulo a prime that is 1 modulo 4) takes variable time, as making a key does.
Bytes prove_key(mpz_srcptr p, mpz_srcptr q);

/// @throws InputError "key.proof_missing"
[[noreturn]] void refuse_key_without_proof();

/// N has passed check_modulus(). 8 exponentiations modulo N with exponent N.
/// @throws InputError "key.proof"
void check_key_proof(mpz_srcptr modulus, ByteView proof);

}  // namespace popcorn::paillier
