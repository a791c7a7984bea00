// The conditions that a key from outside must meet. Internal to this folder.
#pragma once

#include <gmp.h>

#include "paillier/keys/keys.h"

namespace popcorn::paillier {

/// See PublicKey::from_modulus(). Variable time in N only, which is public.
void check_modulus(mpz_srcptr modulus, KeySizePolicy policy);
/// See PublicKey::from_subgroup(). N has passed check_modulus().
void check_generator(mpz_srcptr generator, mpz_srcptr modulus);
/// The conditions of PrivateKey::from_primes() on p and q but primality. Variable time.
void check_prime_pair(mpz_srcptr p, mpz_srcptr q);
void check_primality(mpz_srcptr p, mpz_srcptr q, Rng& rng);
/// See PrivateKey::from_subgroup_primes(); p and q have passed both checks above.
void check_orders(mpz_srcptr p, mpz_srcptr q, mpz_srcptr p_order, mpz_srcptr q_order, Rng& rng);
/// Whether h has order exactly 2·order modulo p, that is h^order ≡ −1 and h ≢ −1.
bool generates_subgroup(mpz_srcptr generator, mpz_srcptr p, mpz_srcptr order);

}  // namespace popcorn::paillier
