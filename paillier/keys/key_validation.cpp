#include "paillier/keys/key_validation.h"

#include "base/error.h"
#include "paillier/keys/primes.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

namespace {

constexpr unsigned kSmoothBound = 1U << 16;
constexpr unsigned kMinPrimeDistance = 100;  // |p − q| > 2^(|p| − 100) keeps Fermat's factoring method away
constexpr int kModulusPrimalityRounds = 25;  // a prime N is always recognised, whatever the number of rounds

std::string allowed_sizes(KeySizePolicy policy) {
  return policy == KeySizePolicy::standard ? "2048, 3072 or 4096 bits"
                                           : "a multiple of 128 from 256 to 4096 bits (test keys)";
}

[[noreturn]] void refuse_modulus(const std::string& reason) {
  throw InputError("key.modulus", "the modulus of the key " + reason);
}

[[noreturn]] void refuse_generator(const std::string& reason) {
  throw InputError("key.generator", "the generator of the subgroup key " + reason);
}

[[noreturn]] void refuse_primes(const std::string& reason) {
  throw InputError("key.primes", "the primes of the private key " + reason);
}

[[noreturn]] void refuse_order(const std::string& reason) {
  throw InputError("key.order", "the subgroup orders of the private key " + reason);
}

/// lcm(1 … 2^16): every prime below 2^16 to the highest power below 2^16.
const SecretMpz& smooth_exponent() {
  static const SecretMpz exponent = [] {
    SecretMpz product(kSmoothBound);  // the power of 2
    for (const std::uint32_t prime : small_odd_primes()) {
      std::uint64_t power = prime;
      while (power * prime < kSmoothBound) power *= prime;
      mpz_mul_ui(product, product, power);
    }
    return product;
  }();
  return exponent;
}

}  // namespace

void check_modulus(mpz_srcptr modulus, KeySizePolicy policy) {
  const auto bits = static_cast<unsigned>(mpz_sgn(modulus) == 0 ? 0 : mpz_sizeinbase(modulus, 2));
  if (!key_size_allowed(bits, policy)) {
    throw InputError("key.bits", "the modulus of the key has " + std::to_string(bits) + " bits; expected " +
                                     allowed_sizes(policy));
  }
  if (mpz_even_p(modulus)) refuse_modulus("is even");
  for (const std::uint32_t prime : small_odd_primes()) {
    if (mpz_divisible_ui_p(modulus, prime)) refuse_modulus("has the small factor " + std::to_string(prime));
  }
  if (mpz_perfect_power_p(modulus) != 0) refuse_modulus("is a perfect power");
  if (mpz_probab_prime_p(modulus, kModulusPrimalityRounds) != 0)
    refuse_modulus("is prime, not a product of two");
}

void check_generator(mpz_srcptr generator, mpz_srcptr modulus) {
  SecretMpz work;
  mpz_sub_ui(work, modulus, 1);
  if (mpz_cmp_ui(generator, 1) <= 0 || mpz_cmp(generator, work) >= 0)
    refuse_generator("is not between 1 and N − 1");
  mpz_gcd(work, generator, modulus);
  if (mpz_cmp_ui(work, 1) != 0) refuse_generator("shares a factor with the modulus");
  if (mpz_jacobi(generator, modulus) != 1) refuse_generator("has a Jacobi symbol other than 1");
  mpz_powm(work, generator, smooth_exponent(), modulus);
  mpz_sub_ui(work, work, 1);
  mpz_gcd(work, work, modulus);
  if (mpz_cmp_ui(work, 1) != 0) refuse_generator("has a small order");
}

// gcd(pq, (p−1)(q−1)) = 1 needs no check of its own: p | q−1 with q − 1 ≥ 2p would make q longer than p.
void check_prime_pair(mpz_srcptr p, mpz_srcptr q) {
  const std::size_t bits = mpz_sizeinbase(p, 2);
  if (bits != mpz_sizeinbase(q, 2)) refuse_primes("differ in length");
  SecretMpz work;
  mpz_sub(work, p, q);
  mpz_abs(work, work);
  if (work.bit_length() + kMinPrimeDistance <= bits) refuse_primes("are too close to each other");
}

void check_primality(mpz_srcptr p, mpz_srcptr q, Rng& rng) {
  if (!is_probable_prime(p, rng) || !is_probable_prime(q, rng)) refuse_primes("are not both prime");
}

void check_orders(mpz_srcptr p, mpz_srcptr q, mpz_srcptr p_order, mpz_srcptr q_order, Rng& rng) {
  const unsigned order_bits = subgroup_order_bits(static_cast<unsigned>(2 * mpz_sizeinbase(p, 2)));
  if (mpz_sizeinbase(p_order, 2) != order_bits || mpz_sizeinbase(q_order, 2) != order_bits) {
    refuse_order("are not of " + std::to_string(order_bits) + " bits");
  }
  if (mpz_fdiv_ui(p, 4) != 3 || mpz_fdiv_ui(q, 4) != 3) refuse_primes("are not 3 modulo 4");
  SecretMpz p_minus_1;
  SecretMpz work;
  mpz_sub_ui(p_minus_1, p, 1);
  mpz_sub_ui(work, q, 1);
  if (mpz_divisible_p(p_minus_1, p_order) == 0) refuse_order("do not divide p − 1");
  if (mpz_divisible_p(work, q_order) == 0) refuse_order("do not divide q − 1");
  mpz_gcd(work, work, p_minus_1);
  if (mpz_cmp_ui(work, 2) != 0) refuse_primes("have more than 2 in common in p − 1 and q − 1");
  if (!is_probable_prime(p_order, rng) || !is_probable_prime(q_order, rng))
    refuse_order("are not both prime");
}

bool generates_subgroup(mpz_srcptr generator, mpz_srcptr p, mpz_srcptr order) {
  SecretMpz power;
  mpz_add_ui(power, generator, 1);
  if (mpz_divisible_p(power, p) != 0) return false;
  mpz_powm(power, generator, order, p);
  mpz_add_ui(power, power, 1);
  return mpz_cmp(power, p) == 0;
}

}  // namespace popcorn::paillier
