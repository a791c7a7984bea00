#include "paillier/keys/primes.h"

#include <NTL/ZZ.h>

#include <span>

#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

namespace {

constexpr long kSmallPrimeBound = 1L << 16;
constexpr int kMillerRabinRounds = 50;  // 4^-50 = 2^-100 for the worst composite
constexpr int kGmpBpswOnly = 24;        // GMP counts BPSW as 24 rounds and adds none of its own, fixed bases
constexpr unsigned kSieveWindow =
    1U << 15;  // about three times the expected distance to a rough 2048-bit prime

/// value^-1 modulo a prime, value not 0, by Fermat.
std::uint64_t inverse(std::uint64_t value, std::uint64_t prime) {
  std::uint64_t result = 1;
  for (std::uint64_t exponent = prime - 2; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = result * value % prime;
    value = value * value % prime;
  }
  return result;
}

/// Marks each i for which start + step·i ≡ residue (mod prime).
void strike_out(std::span<std::uint8_t> struck, std::uint64_t start, std::uint64_t step_inverse,
                std::uint64_t residue, std::uint64_t prime) {
  const std::uint64_t first = (residue + prime - start) % prime * step_inverse % prime;
  for (std::uint64_t i = first; i < struck.size(); i += prime) struck[i] = 1;
}

/// Sieves start + step·i, i < size, by all small primes (none of which divides `step`).
SecretBytes sieve(mpz_srcptr start, mpz_srcptr step, PrimeShape shape) {
  SecretBytes struck(kSieveWindow);
  for (const std::uint64_t prime : small_odd_primes()) {
    const std::uint64_t start_residue = mpz_fdiv_ui(start, prime);
    const std::uint64_t step_inverse = inverse(mpz_fdiv_ui(step, prime), prime);
    strike_out(struck.writable(), start_residue, step_inverse, 0, prime);
    if (shape == PrimeShape::rough) strike_out(struck.writable(), start_residue, step_inverse, 1, prime);
  }
  return struck;
}

/// The first prime of start + step·i, i < kSieveWindow, below 2^bits; false when there is none.
bool first_prime(mpz_ptr p, mpz_srcptr start, mpz_srcptr step, unsigned bits, PrimeShape shape, Rng& rng) {
  const SecretBytes struck = sieve(start, step, shape);
  for (unsigned i = 0; i < kSieveWindow; ++i) {
    if (struck.view()[i] != 0) continue;
    mpz_set(p, start);
    mpz_addmul_ui(p, step, i);
    if (mpz_sizeinbase(p, 2) > bits) return false;
    if (is_probable_prime(p, rng)) return true;
  }
  return false;
}

/// Uniform with exactly `bits` bits, the two highest set.
void random_start(mpz_ptr start, unsigned bits, Rng& rng) {
  random_bits(start, bits, rng);
  mpz_setbit(start, bits - 1);
  mpz_setbit(start, bits - 2);
}

bool passes_miller_rabin(mpz_srcptr n, Rng& rng) {
  SecretMpz n_minus_1;
  SecretMpz odd_part;
  SecretMpz base_range;
  SecretMpz power;
  mpz_sub_ui(n_minus_1, n, 1);
  const mp_bitcnt_t twos = mpz_scan1(n_minus_1, 0);
  mpz_fdiv_q_2exp(odd_part, n_minus_1, twos);
  mpz_sub_ui(base_range, n, 3);
  for (int round = 0; round < kMillerRabinRounds; ++round) {
    random_below(power, base_range, rng);
    mpz_add_ui(power, power, 2);  // a base in [2, n − 2]
    mpz_powm(power, power, odd_part, n);
    if (mpz_cmp_ui(power, 1) == 0) continue;
    bool reached = mpz_cmp(power, n_minus_1) == 0;
    for (mp_bitcnt_t squarings = 1; squarings < twos && !reached; ++squarings) {
      mpz_powm_ui(power, power, 2, n);
      reached = mpz_cmp(power, n_minus_1) == 0;
    }
    if (!reached) return false;
  }
  return true;
}

}  // namespace

const std::vector<std::uint32_t>& small_odd_primes() {
  static const std::vector<std::uint32_t> primes = [] {
    std::vector<std::uint32_t> odd;
    NTL::PrimeSeq sequence;
    sequence.next();  // 2
    for (long prime = sequence.next(); prime < kSmallPrimeBound; prime = sequence.next()) {
      odd.push_back(static_cast<std::uint32_t>(prime));
    }
    return odd;
  }();
  return primes;
}

bool is_probable_prime(mpz_srcptr n, Rng& rng) {
  if (mpz_probab_prime_p(n, kGmpBpswOnly) == 0) return false;
  return mpz_cmp_ui(n, kSmallPrimeBound) < 0 || passes_miller_rabin(n, rng);
}

void random_prime(mpz_ptr p, unsigned bits, PrimeShape shape, Rng& rng) {
  SecretMpz start;
  const SecretMpz step(4UL);
  do {
    random_start(start, bits, rng);
    mpz_setbit(start, 0);
    mpz_setbit(start, 1);
  } while (!first_prime(p, start, step, bits, shape, rng));
}

void random_prime_with_order(mpz_ptr p, unsigned bits, mpz_srcptr order, Rng& rng) {
  SecretMpz start;
  SecretMpz step;
  SecretMpz cofactor;
  mpz_mul_2exp(step, order, 1);
  do {
    random_start(start, bits, rng);
    mpz_cdiv_q(cofactor, start, step);
    mpz_setbit(cofactor, 0);
    mpz_mul(start, cofactor, step);
    mpz_add_ui(start, start, 1);  // 2·order·k + 1 with k odd, at least the random start
    mpz_mul_2exp(step, step, 1);
    const bool found = first_prime(p, start, step, bits, PrimeShape::rough, rng);
    mpz_fdiv_q_2exp(step, step, 1);
    if (!found) continue;
    mpz_sub_ui(cofactor, p, 1);
    mpz_divexact(cofactor, cofactor, step);
    if (mpz_divisible_p(cofactor, order) == 0) return;
  } while (true);
}

}  // namespace popcorn::paillier
