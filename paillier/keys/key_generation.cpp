#include "base/error.h"
#include "paillier/keys/key_validation.h"
#include "paillier/keys/keys.h"
#include "paillier/keys/primes.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

namespace {

struct KeyNumbers {
  SecretMpz p;
  SecretMpz q;
  SecretMpz p_order;
  SecretMpz q_order;
};

/// Whether gcd(p−1, q−1) = 2 and |p − q| is large. Fails about never for what the prime search gives.
bool go_together(const KeyNumbers& numbers) {
  SecretMpz p_minus_1;
  SecretMpz common;
  mpz_sub_ui(p_minus_1, numbers.p, 1);
  mpz_sub_ui(common, numbers.q, 1);
  mpz_gcd(common, common, p_minus_1);
  if (mpz_cmp_ui(common, 2) != 0) return false;
  try {
    check_prime_pair(numbers.p, numbers.q);
  } catch (const InputError&) {
    return false;
  }
  return true;
}

/// h = −y^(2β) mod N with β = (p−1)(q−1) / (4·p_order·q_order) and y random, so that h^(p_order·q_order) = −1
/// [MHL21, sec 3.2].
SecretMpz subgroup_generator(const KeyNumbers& numbers, Rng& rng) {
  SecretMpz modulus;
  SecretMpz exponent;  // 2β
  SecretMpz work;
  mpz_mul(modulus, numbers.p, numbers.q);
  mpz_sub_ui(exponent, numbers.p, 1);
  mpz_divexact(exponent, exponent, numbers.p_order);
  mpz_sub_ui(work, numbers.q, 1);
  mpz_divexact(work, work, numbers.q_order);
  mpz_mul(exponent, exponent, work);
  mpz_fdiv_q_2exp(exponent, exponent, 1);
  SecretMpz generator;
  do {
    random_below(generator, modulus, rng);
    mpz_powm(generator, generator, exponent, modulus);
    mpz_sub(generator, modulus, generator);
  } while (!generates_subgroup(generator, numbers.p, numbers.p_order) ||
           !generates_subgroup(generator, numbers.q, numbers.q_order));
  return generator;
}

KeyNumbers ordinary_primes(unsigned bits, Rng& rng) {
  KeyNumbers numbers;
  do {
    random_prime(numbers.p, bits / 2, PrimeShape::rough, rng);
    random_prime(numbers.q, bits / 2, PrimeShape::rough, rng);
  } while (!go_together(numbers));
  return numbers;
}

KeyNumbers subgroup_primes(unsigned bits, Rng& rng) {
  const unsigned order_bits = subgroup_order_bits(bits);
  KeyNumbers numbers;
  do {
    random_prime(numbers.p_order, order_bits, PrimeShape::any, rng);
    random_prime(numbers.q_order, order_bits, PrimeShape::any, rng);
    random_prime_with_order(numbers.p, bits / 2, numbers.p_order, rng);
    random_prime_with_order(numbers.q, bits / 2, numbers.q_order, rng);
  } while (!go_together(numbers));
  return numbers;
}

}  // namespace

unsigned subgroup_order_bits(unsigned key_bits) noexcept {
  switch (key_bits) {
    case 2048:
      return 224;
    case 3072:
      return 256;
    case 4096:
      return 320;
    default:
      return key_bits / 64 * 8;
  }
}

PrivateKey PrivateKey::generate(unsigned bits, KeyKind kind, KeySizePolicy policy, Rng& rng) {
  if (!key_size_allowed(bits, policy)) {
    throw UsageError("key.bits", "a key of " + std::to_string(bits) +
                                     " bits cannot be made; the sizes are 2048, 3072 and 4096 bits");
  }
  const bool ordinary = kind == KeyKind::ordinary;
  const KeyNumbers numbers = ordinary ? ordinary_primes(bits, rng) : subgroup_primes(bits, rng);
  const SecretMpz generator = ordinary ? SecretMpz() : subgroup_generator(numbers, rng);
  SecretMpz modulus;
  mpz_mul(modulus, numbers.p, numbers.q);
  PrivateKey key(PublicKey::from_valid(kind, to_bytes(modulus, bits / 8),
                                       ordinary ? Bytes() : to_bytes(generator, bits / 8)));
  key.p_ = to_secret_bytes(numbers.p, bits / 16);
  key.q_ = to_secret_bytes(numbers.q, bits / 16);
  if (!ordinary) {
    key.p_order_ = to_secret_bytes(numbers.p_order, subgroup_order_bits(bits) / 8);
    key.q_order_ = to_secret_bytes(numbers.q_order, subgroup_order_bits(bits) / 8);
  }
  key.make_proof();
  return key;
}

}  // namespace popcorn::paillier
