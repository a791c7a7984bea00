// The primes of a private key that was stored without them. Internal to this folder.
#pragma once

#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

struct Factors {
  SecretMpz p;
  SecretMpz q;
};

/// p and q from N = p·q and λ, a multiple of lcm(p−1, q−1): a random g has g^λ = 1, and the chain of square
/// roots of 1 above it splits N with probability 1/2 at least [Miller76]. N has passed check_modulus().
/// Variable time.
/// @throws InputError "key.mismatch" when λ does not belong to N
Factors factor_with_lambda(mpz_srcptr modulus, mpz_srcptr lambda);

}  // namespace popcorn::paillier
