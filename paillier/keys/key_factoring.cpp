#include "paillier/keys/key_factoring.h"

#include "base/error.h"

namespace popcorn::paillier {

namespace {

constexpr int kAttempts = 128;  // all fail with probability 2^-128 when λ belongs to N

[[noreturn]] void refuse() {
  throw InputError("key.mismatch", "\"lambda\" of the private key does not belong to its modulus");
}

/// A square root of 1 other than ±1, from one random element; false when there was none on its chain.
/// @throws InputError when g^λ ≠ 1
bool find_root(mpz_ptr root, mpz_srcptr modulus, mpz_srcptr odd_part, mp_bitcnt_t twos) {
  SecretMpz modulus_minus_1;
  SecretMpz square;
  mpz_sub_ui(modulus_minus_1, modulus, 1);
  do {
    random_below(root, modulus, system_rng());
  } while (mpz_sgn(root) == 0);
  mpz_powm(root, root, odd_part, modulus);
  if (mpz_cmp_ui(root, 1) == 0) return false;
  for (mp_bitcnt_t i = 0; i < twos; ++i) {
    mpz_powm_ui(square, root, 2, modulus);
    if (mpz_cmp_ui(square, 1) == 0) return mpz_cmp(root, modulus_minus_1) != 0;
    mpz_set(root, square);
  }
  refuse();
}

}  // namespace

Factors factor_with_lambda(mpz_srcptr modulus, mpz_srcptr lambda) {
  if (mpz_sgn(lambda) <= 0 || mpz_odd_p(lambda)) refuse();
  const mp_bitcnt_t twos = mpz_scan1(lambda, 0);
  SecretMpz odd_part;
  SecretMpz root;
  mpz_fdiv_q_2exp(odd_part, lambda, twos);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!find_root(root, modulus, odd_part, twos)) continue;
    Factors factors;
    mpz_sub_ui(root, root, 1);
    mpz_gcd(factors.p, root, modulus);
    mpz_divexact(factors.q, modulus, factors.p);
    return factors;
  }
  refuse();
}

}  // namespace popcorn::paillier
