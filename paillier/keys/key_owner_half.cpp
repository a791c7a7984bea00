#include "paillier/keys/key_owner_half.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "paillier/big_integer.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::Modulus;

namespace {

/// Window of the owner's two tables (64 entries of p² or q² a digit): 5 costs 7 % more, 7 costs 4 % more and
/// twice the memory.
constexpr unsigned kOwnerWindow = 6;
}  // namespace

void import_pieces(const Modulus& modulus, std::uint64_t* sum, const std::uint64_t* values,
                   std::span<const GroupBuffer> factors, bool as_w) {
  const std::size_t piece = modulus.base_limbs();
  const std::size_t lanes = modulus.lanes();
  std::vector<std::uint64_t> loaded(2 * piece * lanes);
  GroupBuffer term(modulus.group_words(), true);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const auto target = loaded.begin() + static_cast<std::ptrdiff_t>((2 * lane + (as_w ? 1 : 0)) * piece);
      std::copy_n(values + (lane * factors.size() + i) * piece, piece, target);
    }
    std::uint64_t* const product = i == 0 ? sum : term.data();
    modulus.load(product, loaded.data());
    modulus.multiply_secret(product, product, factors[i].data());
    if (i != 0) modulus.add(sum, sum, product);
  }
  OPENSSL_cleanse(loaded.data(), loaded.size() * sizeof(std::uint64_t));
}

GroupBuffer part_factor(const Modulus& modulus, mpz_srcptr value) {
  GroupBuffer factor = modulus.constant(value);
  modulus.multiply_secret(factor.data(), factor.data(), modulus.to_residue());
  return factor;
}

KeyOwnerHalf make_half(const kernels::Kernel& kernel, mpz_srcptr prime, mpz_srcptr order, mpz_srcptr n,
                       mpz_srcptr h_n, mpz_srcptr factor, std::size_t limbs, std::size_t randomness_bits) {
  KeyOwnerHalf half;
  const std::size_t prime_limbs = limbs / 2;
  half.prime = limbs_of(prime, prime_limbs);
  half.modulus = Modulus::create(kernel, half.prime, true);
  const Modulus& modulus = *half.modulus;
  SecretMpz square;
  mpz_mul(square, prime, prime);

  SecretMpz value;
  SecretMpz other_prime;
  mpz_divexact(other_prime, n, prime);
  for (std::size_t i = 0; i < half.plaintext_parts.size(); ++i) {
    mpz_mul_2exp(value, other_prime, 64 * prime_limbs * i);  // the part itself is loaded as w, i.e. times p
    mpz_mod(value, value, square);
    half.plaintext_parts[i] = part_factor(modulus, value);
  }
  for (std::size_t i = 0; i < half.ciphertext_parts.size(); ++i) {
    mpz_set_ui(value, 0);
    mpz_setbit(value, 64 * prime_limbs * i);
    mpz_mod(value, value, square);
    half.ciphertext_parts[i] = part_factor(modulus, value);
  }
  mpz_mod(value, h_n, square);
  const GroupBuffer base = modulus.constant(value);
  half.generator = std::make_unique<FixedBaseTable>(half.modulus, std::span(&base, 1), randomness_bits,
                                                    kOwnerWindow, true);

  SecretMpz exponent;
  if (mpz_sgn(order) != 0) {
    mpz_mul_2exp(exponent, order, 1);
  } else {
    mpz_sub_ui(exponent, prime, 1);
  }
  half.logarithm = std::make_unique<SecretLogarithm>(half.modulus, exponent);
  // L_p((1 + N)^e mod p²) with (1 + N)^e = 1 + e·N mod p², so L_p = e·(N / p) mod p.
  mpz_mul(value, other_prime, exponent);
  mpz_mod(value, value, prime);
  mpz_invert(value, value, prime);
  mpz_mul(value, value, factor);
  mpz_mod(value, value, prime);
  half.scale = modulus.constant(value);
  return half;
}

}  // namespace popcorn::paillier
