// What generated keys are like.
#include "paillier/keys/keys.h"

#include <catch2/catch.hpp>

#include "tests/paillier/big_integer.h"
#include "tests/paillier/expect_error.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/textbook_paillier.h"

using namespace popcorn;
using namespace popcorn::paillier;
using test::BigInteger;
using test::expect_error;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

void check_primes(const PrivateKey& key) {
  const PublicKey& pub = key.public_key();
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  REQUIRE(pub.modulus().size() == pub.bits() / 8);
  REQUIRE(key.p().size() == pub.bits() / 16);
  REQUIRE(key.q().size() == pub.bits() / 16);
  REQUIRE(BigInteger(pub.modulus()) == p * q);
  REQUIRE(BigInteger(pub.modulus()).bits() == pub.bits());
  for (const BigInteger* prime : {&p, &q}) {
    REQUIRE(mpz_probab_prime_p(prime->get(), 40) != 0);
    REQUIRE(prime->modulo(4) == 3);
    REQUIRE(prime->bytes().front() >= 0xc0);
    for (unsigned divisor = 3; divisor < 65536; divisor += 2) {
      if (prime->modulo(divisor) == 1) FAIL("p - 1 has the factor " << divisor);
    }
  }
  REQUIRE(gcd(p - 1, q - 1) == 2);
  REQUIRE(gcd(p * q, (p - 1) * (q - 1)) == 1);
  const BigInteger distance = p < q ? q - p : p - q;
  REQUIRE(distance.bits() + 100 > p.bits());
}

void check_subgroup(const PrivateKey& key) {
  const PublicKey& pub = key.public_key();
  const unsigned order_bits = subgroup_order_bits(pub.bits());
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  const BigInteger n(pub.modulus());
  const BigInteger h(pub.generator());
  const BigInteger p_order(key.p_order());
  const BigInteger q_order(key.q_order());
  REQUIRE(pub.generator().size() == pub.bits() / 8);
  for (const BigInteger* order : {&p_order, &q_order}) {
    REQUIRE(order->bits() == order_bits);
    REQUIRE(mpz_probab_prime_p(order->get(), 40) != 0);
  }
  REQUIRE((p - 1) % p_order == 0);
  REQUIRE((q - 1) % q_order == 0);
  // The order of h is exactly 2·p_order·q_order: it divides that, and no maximal proper divisor of it.
  REQUIRE(power(h, p_order * q_order, n) == n - 1);
  REQUIRE_FALSE(power(h, p_order * 2, n) == 1);
  REQUIRE_FALSE(power(h, q_order * 2, n) == 1);
  // … and neither half of it is smaller.
  REQUIRE_FALSE(power(h, 2, p) == 1);
  REQUIRE_FALSE(power(h, 2, q) == 1);
  REQUIRE(mpz_jacobi(h.get(), n.get()) == 1);
}

PrivateKey read_again(const PrivateKey& key) {
  return key.public_key().kind() == KeyKind::ordinary
             ? PrivateKey::from_primes(key.p(), key.q(), kTest)
             : PrivateKey::from_subgroup_primes(key.p(), key.q(), key.p_order(), key.q_order(),
                                                key.public_key().generator(), kTest);
}

}  // namespace

TEST_CASE("generated keys meet every condition and pass the validation of received ones",
          "[paillier][keys]") {
  test::SeededRng rng(1);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    for (const unsigned bits : {256U, 256U, 384U, 384U, 512U, 512U, 640U, 768U, 1024U}) {
      CAPTURE(bits);
      const PrivateKey key = PrivateKey::generate(bits, kind, kTest, rng);
      REQUIRE(key.public_key().bits() == bits);
      REQUIRE(key.public_key().kind() == kind);
      REQUIRE(key.public_key().ciphertext_bytes() == 2 * key.public_key().modulus().size());
      check_primes(key);
      if (kind == KeyKind::subgroup) {
        check_subgroup(key);
      } else {
        REQUIRE(key.public_key().generator().empty());
        REQUIRE(key.p_order().empty());
      }
      REQUIRE(PublicKey::parse(key.public_key().serialise(), kTest) == key.public_key());
      REQUIRE(PublicKey::from_json(key.public_key().to_json(), kTest) == key.public_key());
      const PrivateKey imported = read_again(key);
      REQUIRE(imported.public_key() == key.public_key());
      REQUIRE(imported.to_json() == key.to_json());
      REQUIRE(PrivateKey::from_json(key.to_json(), kTest).to_json() == key.to_json());
    }
  }
}

TEST_CASE("keys of real size from the system's generator", "[paillier][keys]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = PrivateKey::generate(2048, kind);
    check_primes(key);
    if (kind == KeyKind::subgroup) check_subgroup(key);
    REQUIRE(PublicKey::parse(key.public_key().serialise()) == key.public_key());
    REQUIRE(PrivateKey::from_json(key.to_json()).public_key() == key.public_key());
  }
}

TEST_CASE("a generated key encrypts and decrypts", "[paillier][keys]") {
  test::SeededRng rng(2);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = PrivateKey::generate(256, kind, kTest, rng);
    const test::TextbookPaillier paillier(key.p(), key.q());
    for (int i = 0; i < 20; ++i) {
      const std::string m = std::to_string(rng.between(INT64_MIN / 2, INT64_MAX / 2));
      REQUIRE(paillier.decrypt(paillier.encrypt(m, rng)) == m);
      if (kind == KeyKind::ordinary) continue;
      // The short exponent of a subgroup key: c^(2·p_order) mod p² = 1 + (2·p_order·m mod p)·N.
      const BigInteger p(key.p());
      const BigInteger alpha = BigInteger::random(2 * subgroup_order_bits(256), rng);
      const BigInteger c(paillier.encrypt_with_generator(m, key.public_key().generator(), alpha.bytes()));
      REQUIRE(power(c, BigInteger(key.p_order()) * 2, p * p) % p == 1);
    }
  }
}

TEST_CASE("a key depends on the generator alone and never repeats", "[paillier][keys]") {
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    test::SeededRng first(3);
    test::SeededRng second(3);
    const PrivateKey key = PrivateKey::generate(256, kind, kTest, first);
    REQUIRE(PrivateKey::generate(256, kind, kTest, second).public_key() == key.public_key());
    const PrivateKey next = PrivateKey::generate(256, kind, kTest, first);
    REQUIRE_FALSE(next.public_key() == key.public_key());
    REQUIRE(gcd(BigInteger(next.public_key().modulus()), BigInteger(key.public_key().modulus())) == 1);
  }
}

TEST_CASE("sizes outside the policy are refused", "[paillier][keys]") {
  test::SeededRng rng(4);
  for (const unsigned bits : {0U, 15U, 128U, 255U, 257U, 272U, 320U, 4224U, 1U << 31}) {
    expect_error<UsageError>("key.bits", [&] { PrivateKey::generate(bits, KeyKind::ordinary, kTest, rng); });
  }
  for (const unsigned bits : {256U, 1024U, 1920U, 2176U, 3968U, 8192U}) {
    expect_error<UsageError>(
        "key.bits", [&] { PrivateKey::generate(bits, KeyKind::subgroup, KeySizePolicy::standard, rng); });
  }
}

TEST_CASE("the orders of subgroup keys", "[paillier][keys]") {
  REQUIRE(subgroup_order_bits(2048) == 224);
  REQUIRE(subgroup_order_bits(3072) == 256);
  REQUIRE(subgroup_order_bits(4096) == 320);
  for (unsigned bits = 256; bits <= 4096; bits += 128) {
    REQUIRE(subgroup_order_bits(bits) % 8 == 0);
    REQUIRE(subgroup_order_bits(bits) >= 32);
    REQUIRE(subgroup_order_bits(bits) <= bits / 8);
  }
}

TEST_CASE("secrets move and leave nothing behind", "[paillier][keys]") {
  SecretBytes secret(Bytes{1, 2, 3});
  SecretBytes moved(std::move(secret));
  REQUIRE(secret.size() == 0);  // NOLINT(bugprone-use-after-move): that is the point
  REQUIRE(Bytes(moved.view().begin(), moved.view().end()) == Bytes{1, 2, 3});
  SecretBytes other(Bytes{9, 9, 9, 9});
  other = std::move(moved);
  REQUIRE(moved.size() == 0);  // NOLINT(bugprone-use-after-move)
  REQUIRE(other.size() == 3);
}
