// Every condition that a key from outside must meet, violated one at a time.
#include <catch2/catch.hpp>
#include <functional>

#include "paillier/keys/keys.h"
#include "tests/paillier/big_integer.h"
#include "tests/paillier/expect_error.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;
using Catch::Matchers::Contains;
using test::BigInteger;
using test::expect_error;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

void refuse_modulus(const BigInteger& modulus, const std::string& code, const std::string& reason) {
  const std::string message =
      expect_error(code, [&] { PublicKey::from_modulus(modulus.bytes(), KeySizePolicy::insecure_test); });
  REQUIRE_THAT(message, Contains(reason));
}

/// A prime p = 2·order·factor·k + 1 of 128 bits, the two highest set, k odd when `k_odd`.
BigInteger prime_with(const BigInteger& order, unsigned long factor, bool k_odd, Rng& rng) {
  for (;;) {
    const BigInteger step = order * 2 * factor;
    BigInteger k = BigInteger::random(128, rng) / step;
    if ((k.modulo(2) == 1) != k_odd) k = k + 1;
    const BigInteger p = step * k + 1;
    if (p.bits() == 128 && p.bytes().front() >= 0xc0 && mpz_probab_prime_p(p.get(), 30) != 0) return p;
  }
}

/// The x modulo p·q with x ≡ a (mod p), x ≡ b (mod q).
BigInteger chinese(const BigInteger& a, const BigInteger& p, const BigInteger& b, const BigInteger& q) {
  return (a * q * inverse(q, p) + b * p * inverse(p, q)) % (p * q);
}

/// An element of order exactly `order`, a prime divisor of p − 1.
BigInteger element_of_order(const BigInteger& order, const BigInteger& p, Rng& rng) {
  for (;;) {
    const BigInteger element = power(BigInteger::random(128, rng) % p, (p - 1) / order, p);
    if (!(element == 1) && !(element == 0)) return element;
  }
}

}  // namespace

TEST_CASE("moduli that are none are refused with the reason", "[paillier][keys]") {
  test::SeededRng rng(1);
  const PrivateKey key = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const BigInteger n(key.public_key().modulus());

  refuse_modulus(n - 1, "key.modulus", "is even");
  refuse_modulus(0, "key.bits", "0 bits");
  refuse_modulus(1, "key.bits", "1 bits");
  refuse_modulus(n / 2, "key.bits", "255 bits");
  refuse_modulus(n * 2 + 1, "key.bits", "257 bits");
  refuse_modulus(n * 256 + 1, "key.bits", "264 bits");
  for (int i = 0; i < 4; ++i) {
    refuse_modulus(BigInteger::random_prime(256, rng), "key.modulus", "is prime");
    BigInteger root(0xffffffffUL);
    root = root * root * root * root - BigInteger::random(100, rng);
    mpz_nextprime(root.get(), root.get());
    refuse_modulus(root * root, "key.modulus", "is a perfect power");
    refuse_modulus(root * root * root, "key.modulus", "is a perfect power");
    for (const unsigned long small : {3UL, 5UL, 257UL, 65519UL, 65521UL}) {
      BigInteger cofactor = BigInteger::random(512, rng) / small;
      mpz_nextprime(cofactor.get(), cofactor.get());
      refuse_modulus(cofactor * small, "key.modulus", "small factor " + std::to_string(small));
    }
    // The smallest prime above the bound can only be found by factoring.
    BigInteger cofactor = BigInteger::random(512, rng) / 65537;
    mpz_nextprime(cofactor.get(), cofactor.get());
    REQUIRE_NOTHROW(PublicKey::from_modulus((cofactor * 65537).bytes(), kTest));
  }
  // Leading zeros are no part of a number; a number of any length is answered at once.
  REQUIRE(PublicKey::from_modulus(n.bytes(500), kTest) == key.public_key());
  expect_error("key.bits", [&] { PublicKey::from_modulus(Bytes(1 << 20, 0xff), kTest); });
  expect_error("key.bits", [&] { PublicKey::from_modulus({}, kTest); });
}

TEST_CASE("test sizes need the test policy", "[paillier][keys]") {
  test::SeededRng rng(2);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PrivateKey key = PrivateKey::generate(512, kind, kTest, rng);
    const PublicKey& pub = key.public_key();
    expect_error("key.bits", [&] { PublicKey::from_modulus(pub.modulus()); });
    expect_error("key.bits", [&] { PublicKey::parse(pub.serialise()); });
    expect_error("key.bits", [&] { PublicKey::from_json(pub.to_json()); });
    expect_error("key.bits", [&] { PrivateKey::from_json(key.to_json()); });
    expect_error("key.bits", [&] { PrivateKey::from_primes(key.p(), key.q()); });
  }
}

TEST_CASE("generators that void a subgroup key are refused", "[paillier][keys]") {
  test::SeededRng rng(3);
  const PrivateKey key = PrivateKey::generate(256, KeyKind::subgroup, kTest, rng);
  const BigInteger n(key.public_key().modulus());
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  const BigInteger h(key.public_key().generator());
  const auto refuse = [&](const BigInteger& modulus, const BigInteger& generator, const std::string& reason) {
    const std::string message = expect_error(
        "key.generator", [&] { PublicKey::from_subgroup(modulus.bytes(), generator.bytes(), kTest); });
    REQUIRE_THAT(message, Contains(reason));
  };
  REQUIRE_NOTHROW(PublicKey::from_subgroup(n.bytes(), h.bytes(), kTest));
  for (const BigInteger& outside : {BigInteger(0), BigInteger(1), n - 1, n, n + 1, n + h}) {
    refuse(n, outside, "between 1 and N");
  }
  refuse(n, p, "shares a factor");
  refuse(n, q * 3, "shares a factor");
  // −1 modulo one prime and a square modulo the other: Jacobi symbol −1.
  refuse(n, chinese(p - 1, p, power(h, 2, q), q), "Jacobi");
  // Trivial modulo one prime only: h^α would reveal nothing modulo that prime, and the key would be factored.
  refuse(n, chinese(1, p, power(h, 2, q), q), "small order");
  refuse(n, chinese(power(h, 2, p), p, 1, q), "small order");
  refuse(n,
         chinese(1, p, q - 1, q) * chinese(p - 1, p, 1, q) * power(h, BigInteger(key.p_order()) * 2, n) % n,
         "small order");
  // Elements of small prime order on both sides.
  for (const unsigned long order : {3UL, 17UL, 251UL, 65521UL}) {
    const BigInteger r = prime_with(order, 1, true, rng);
    const BigInteger s = prime_with(order, 1, true, rng);
    refuse(r * s, chinese(element_of_order(order, r, rng), r, element_of_order(order, s, rng), s),
           "small order");
  }
  // … and of a composite order of small primes.
  const BigInteger r = prime_with(3 * 65521UL, 1, true, rng);
  const BigInteger s = prime_with(5 * 65519UL, 1, true, rng);
  refuse(r * s,
         chinese(element_of_order(65521, r, rng) * element_of_order(3, r, rng) % r, r,
                 element_of_order(65519, s, rng) * element_of_order(5, s, rng) % s, s),
         "small order");
}

TEST_CASE("primes that are none, or do not fit each other, are refused", "[paillier][keys]") {
  test::SeededRng rng(4);
  const PrivateKey key = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  const auto refuse = [&](const BigInteger& a, const BigInteger& b, const std::string& code,
                          const std::string& reason) {
    for (int swap = 0; swap < 2; ++swap) {
      const std::string message = expect_error(
          code, [&] { PrivateKey::from_primes((swap ? b : a).bytes(), (swap ? a : b).bytes(), kTest); });
      REQUIRE_THAT(message, Contains(reason));
    }
  };
  refuse(p, 0, "key.primes", "length");
  refuse(p, 1, "key.primes", "length");
  refuse(0, 0, "key.bits", "0 bits");
  refuse(p, p, "key.primes", "too close");
  BigInteger near = p;
  mpz_nextprime(near.get(), near.get());
  refuse(p, near, "key.primes", "too close");
  near = p - BigInteger(1UL << 27);
  mpz_nextprime(near.get(), near.get());
  refuse(p, near, "key.primes", "too close");
  refuse(p, BigInteger::random_prime(136, rng), "key.primes", "length");
  refuse(p, BigInteger::random_prime(120, rng), "key.primes", "length");
  refuse(p, q + 2, "key.modulus", "");
  for (int i = 0; i < 4; ++i) {  // three primes: N looks like any other
    const BigInteger composite = BigInteger::random_prime(60, rng) * BigInteger::random_prime(69, rng);
    if (composite.bits() == 128 && (p * composite).bits() == 256) refuse(p, composite, "key.primes", "prime");
  }
  expect_error("key.bits", [&] { PrivateKey::from_primes(Bytes(1 << 20, 0xff), key.q(), kTest); });
  expect_error("key.bits", [&] { PrivateKey::from_primes(key.p(), Bytes(513, 0xff), kTest); });
  expect_error("key.bits", [&] {  // 240-bit modulus
    PrivateKey::from_primes(BigInteger::random_prime(120, rng).bytes(),
                            BigInteger::random_prime(120, rng).bytes(), kTest);
  });
  // Keys made elsewhere may have p ≡ 1 (mod 4).
  const BigInteger not_blum = prime_with(1, 2, true, rng);
  REQUIRE(not_blum.modulo(4) == 1);
  REQUIRE_NOTHROW(PrivateKey::from_primes(not_blum.bytes(), key.q(), kTest));
}

TEST_CASE("composites made to pass weak primality tests are no primes of a key", "[paillier][keys]") {
  // Carmichael numbers (6k+1)(12k+1)(18k+1): they pass Fermat's test to every base.
  test::SeededRng rng(5);
  int tried = 0;
  while (tried < 3) {
    const BigInteger k = BigInteger((1UL << 39) + (1UL << 35) + rng.below(1UL << 35));
    const BigInteger a = k * 6 + 1;
    const BigInteger b = k * 12 + 1;
    const BigInteger c = k * 18 + 1;
    const BigInteger carmichael = a * b * c;
    bool all_prime = carmichael.bits() == 128 && carmichael.bytes().front() >= 0xc0;
    for (const BigInteger* factor : {&a, &b, &c})
      all_prime = all_prime && mpz_probab_prime_p(factor->get(), 30) != 0;
    if (!all_prime) continue;
    ++tried;
    REQUIRE(power(2, carmichael - 1, carmichael) == 1);
    const BigInteger q = prime_with(3, 1, true, rng);
    const std::string message =
        expect_error("key.primes", [&] { PrivateKey::from_primes(carmichael.bytes(), q.bytes(), kTest); });
    REQUIRE_THAT(message, Contains("prime"));
  }
}

TEST_CASE("orders that are none are refused", "[paillier][keys]") {
  test::SeededRng rng(6);
  const PrivateKey key = PrivateKey::generate(256, KeyKind::subgroup, kTest, rng);
  const PrivateKey other = PrivateKey::generate(256, KeyKind::subgroup, kTest, rng);
  const BigInteger p(key.p());
  const BigInteger q(key.q());
  const BigInteger po(key.p_order());
  const BigInteger qo(key.q_order());
  const BigInteger h(key.public_key().generator());
  const auto refuse = [&](const BigInteger& a, const BigInteger& b, const BigInteger& a_order,
                          const BigInteger& b_order, const BigInteger& generator, const std::string& code,
                          const std::string& reason) {
    const std::string message = expect_error(code, [&] {
      PrivateKey::from_subgroup_primes(a.bytes(), b.bytes(), a_order.bytes(), b_order.bytes(),
                                       generator.bytes(), kTest);
    });
    REQUIRE_THAT(message, Contains(reason));
  };
  REQUIRE_NOTHROW(
      PrivateKey::from_subgroup_primes(q.bytes(), p.bytes(), qo.bytes(), po.bytes(), h.bytes(), kTest));
  refuse(p, q, qo, po, h, "key.order", "divide");
  refuse(p, q, po, BigInteger(other.q_order()), h, "key.order", "divide q");
  refuse(p, q, po, 0, h, "key.order", "32 bits");
  refuse(p, q, po / 2, qo, h, "key.order", "32 bits");
  refuse(p, q, po, qo * qo, h, "key.order", "32 bits");
  refuse(p, q, po, qo, BigInteger(other.public_key().generator()), "key.generator", "");
  refuse(p, q, po, qo, p, "key.generator", "shares a factor");
  // h², of odd order, and a generator of a larger subgroup are in Z*_N and of no small order, but not this
  // key's.
  refuse(p, q, po, qo, power(h, 2, p * q), "key.generator", "order of the private key");
  refuse(p, q, po, qo, h * h * 4 % (p * q), "key.generator", "order of the private key");

  const BigInteger generator = 4;
  const BigInteger not_blum = prime_with(po, 2, true, rng);
  refuse(not_blum, q, po, qo, generator, "key.primes", "3 modulo 4");
  refuse(prime_with(po, 7, true, rng), prime_with(qo, 7, true, rng), po, qo, generator, "key.primes",
         "in common");
  const BigInteger composite = BigInteger(65521UL) * 65519UL;
  REQUIRE(composite.bits() == 32);
  refuse(prime_with(composite, 1, true, rng), q, composite, qo, generator, "key.order", "not both prime");
}

TEST_CASE("the binary form is read back and nothing else is", "[paillier][keys]") {
  test::SeededRng rng(7);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    const PublicKey key = PrivateKey::generate(256, kind, kTest, rng).public_key();
    const Bytes wire = key.serialise();
    const std::size_t plain_size = 12 + (kind == KeyKind::subgroup ? 2 : 1) * key.bits() / 8;
    REQUIRE(wire.size() == plain_size + 18 * key.bits() / 8 + 2);
    Bytes plain(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(plain_size));
    plain[4] = 1;
    REQUIRE(sha256(plain) == key.fingerprint());
    REQUIRE(PublicKey::parse(plain, kTest) == key);
    REQUIRE(PublicKey::parse(plain, kTest).serialise() == plain);
    REQUIRE(PublicKey::parse(wire, kTest, ProofPolicy::required).serialise() == wire);
    expect_error("key.proof_missing", [&] { PublicKey::parse(plain, kTest, ProofPolicy::required); });
    for (std::size_t size = 0; size < wire.size(); ++size) {
      expect_error("key.truncated", [&] { PublicKey::parse(ByteView(wire).first(size), kTest); });
    }
    Bytes longer = wire;
    longer.push_back(0);
    expect_error("key.trailing_bytes", [&] { PublicKey::parse(longer, kTest); });

    const auto changed = [&](std::size_t place, std::uint8_t value) {
      Bytes copy = wire;
      copy[place] = value;
      return copy;
    };
    expect_error("key.magic", [&] { PublicKey::parse(changed(0, 'Q'), kTest); });
    expect_error("key.version", [&] { PublicKey::parse(changed(4, 3), kTest); });
    expect_error("key.version", [&] { PublicKey::parse(changed(4, 0), kTest); });
    expect_error("key.version", [&] { PublicKey::parse(changed(5, 1), kTest); });
    expect_error("key.kind", [&] { PublicKey::parse(changed(6, 2), kTest); });
    expect_error("key.kind", [&] { PublicKey::parse(changed(7, 1), kTest); });
    expect_error("key.bits", [&] { PublicKey::parse(changed(8, 1), kTest); });
    expect_error("key.bits", [&] { PublicKey::parse(changed(11, 0xff), kTest); });
    expect_error("key.truncated", [&] { PublicKey::parse(changed(9, 2), kTest); });
    expect_error("key.trailing_bytes", [&] { PublicKey::parse(changed(4, 1), kTest); });
    expect_error("key.bits", [&] { PublicKey::parse(changed(12, 0), kTest); });
    if (kind == KeyKind::ordinary) {
      expect_error("key.truncated", [&] { PublicKey::parse(changed(6, 1), kTest); });
    } else {
      expect_error("key.trailing_bytes", [&] { PublicKey::parse(changed(6, 0), kTest); });
    }
    // Any other damage is refused or gives another key, never the same name.
    for (std::size_t i = 0; i < 8 * wire.size(); ++i) {
      const Bytes copy = changed(i / 8, static_cast<std::uint8_t>(wire[i / 8] ^ (1 << (i % 8))));
      try {
        const PublicKey damaged = PublicKey::parse(copy, kTest);
        REQUIRE_FALSE(damaged == key);
        REQUIRE(damaged.serialise() == copy);
      } catch (const InputError&) {
        SUCCEED();
      }
    }
  }
}

TEST_CASE("random bytes are no key", "[paillier][keys]") {
  test::SeededRng rng(8);
  for (int i = 0; i < 300; ++i) {
    Bytes bytes(rng.below(200));
    rng.fill(bytes);
    REQUIRE_THROWS_AS(PublicKey::parse(bytes, kTest), InputError);
    const std::string text(bytes.begin(), bytes.end());
    REQUIRE_THROWS_AS(PublicKey::from_json(text, kTest), InputError);
    REQUIRE_THROWS_AS(PrivateKey::from_json(text, kTest), InputError);
  }
}
