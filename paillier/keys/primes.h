// Random primes for keys. Internal to this folder.
#pragma once

#include <gmp.h>

#include <cstdint>
#include <vector>

#include "base/random.h"

namespace popcorn::paillier {

/// Odd primes below 2^16, ascending.
const std::vector<std::uint32_t>& small_odd_primes();

/// BPSW and 50 rounds of Miller–Rabin with bases from `rng`: a composite passes with probability below 2^-100
/// whoever chose it, a prime always passes. Variable time.
bool is_probable_prime(mpz_srcptr n, Rng& rng);

/// What the sieve demands of a prime p besides having no small factor itself.
enum class PrimeShape {
  any,
  rough,  ///< (p−1)/2 has no odd factor below 2^16 either
};

/// A random prime p of exactly `bits` bits, the two highest set, p ≡ 3 (mod 4): incremental search from a
/// uniform start, whose output has nearly full entropy [BD92]. bits >= 32.
void random_prime(mpz_ptr p, unsigned bits, PrimeShape shape, Rng& rng);

/// Likewise a prime p with p ≡ 1 (mod order), `order` an odd prime of at least 32 bits: p = 2·order·k + 1, k
/// odd and without a factor below 2^16, gcd(order, k) = 1. order must be at least 16 bits shorter than p.
void random_prime_with_order(mpz_ptr p, unsigned bits, mpz_srcptr order, Rng& rng);

}  // namespace popcorn::paillier
