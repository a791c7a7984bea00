// The scheme as the paper writes it, for benchmarks and tests.
#include <gmp.h>

#include "paillier/big_integer.h"
#include "paillier/keys/key_owner.h"
#include "paillier/keys/wire_integers.h"

namespace popcorn::paillier {

void encrypt_textbook(const PublicKey& key, const WideVector& values, Bytes& out, Rng& rng) {
  const BigInteger n(key.modulus());
  BigInteger n_squared;
  mpz_mul(n_squared.get(), n.get(), n.get());
  const std::size_t width = key.ciphertext_bytes();
  BigInteger r;
  BigInteger m;
  BigInteger bound;
  for (std::size_t i = 0; i < values.size(); ++i) {
    do {
      r.set_random_below(n, rng);
      mpz_gcd(m.get(), r.get(), n.get());
    } while (mpz_cmp_ui(m.get(), 1) != 0);
    m.set_limbs(values[i]);
    if (values.is_negative(i)) {
      mpz_set_ui(bound.get(), 0);
      mpz_setbit(bound.get(), 64 * values.limbs());
      mpz_sub(m.get(), m.get(), bound.get());
    }
    mpz_powm(r.get(), r.get(), n.get(), n_squared.get());
    mpz_mul(m.get(), m.get(), n.get());
    mpz_add_ui(m.get(), m.get(), 1);
    mpz_mul(r.get(), r.get(), m.get());
    mpz_mod(r.get(), r.get(), n_squared.get());
    const std::size_t start = out.size();
    out.resize(start + width);
    const std::vector<std::uint64_t> limbs = r.limbs(width / 8);
    limbs_to_big_endian(out.data() + start, limbs.data(), limbs.size());
  }
}

}  // namespace popcorn::paillier
