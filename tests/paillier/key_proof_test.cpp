// The proof that a modulus is fit: honest keys of every kind have one, and what a maker of an unfit modulus
// can do, who knows all its factors, is not enough.
#include "paillier/keys/key_proof.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

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

BigInteger prime_of(unsigned bits, unsigned long residue, unsigned long modulus, Rng& rng) {
  for (;;) {
    const BigInteger p = BigInteger::random_prime(bits, rng);
    if (p.bits() == bits && p.modulo(modulus) == residue) return p;
  }
}

/// A prime q ≡ step/2 + 1 modulo `step`, so 3 modulo 4 if none is given, with part·q of 256 bits.
BigInteger prime_to_fill(const BigInteger& part, Rng& rng, const BigInteger& step = 4) {
  BigInteger target = 1;
  mpz_mul_2exp(target.get(), target.get(), 256);
  target = (target * (600 + rng.below(300)) / 1024) / part;
  BigInteger q = target / step * step + step / 2 + 1;
  while (mpz_probab_prime_p(q.get(), 30) == 0) q = q + step;
  return q;
}

BigInteger prime_power(const BigInteger& p, unsigned exponent) {
  BigInteger result = 1;
  for (unsigned i = 0; i < exponent; ++i) result = result * p;
  return result;
}

struct Factor {
  BigInteger p;
  unsigned exponent = 1;
};

struct Modulus {
  std::vector<Factor> factors;
  BigInteger n = 1;
  explicit Modulus(std::vector<Factor> of) : factors(std::move(of)) {
    for (const Factor& factor : factors) n = n * prime_power(factor.p, factor.exponent);
  }
};

/// Roots of y where there are any: x with x^exponent ≡ y modulo each prime power, for an odd exponent by the
/// part of it that is prime to the group's order. Nothing when y has none.
std::optional<BigInteger> odd_root(const BigInteger& y, const BigInteger& exponent, const Modulus& modulus) {
  BigInteger x = 0;
  for (const auto& [p, a] : modulus.factors) {
    const BigInteger power_of_p = prime_power(p, a);
    BigInteger order = power_of_p / p * (p - 1);
    // y^(order / g) = 1 for g = gcd(exponent, order) when y is a power; then a root lies in the part of the
    // group whose order is prime to g.
    const BigInteger common = gcd(exponent, order);
    if (!(power(y, order / common, power_of_p) == 1)) return std::nullopt;
    BigInteger rest = order;
    for (BigInteger g = gcd(rest, exponent); !(g == 1); g = gcd(rest, exponent)) rest = rest / g;
    const BigInteger root = power(y, inverse(exponent % rest, rest), power_of_p);
    if (!(power(root, exponent, power_of_p) == y % power_of_p)) return std::nullopt;
    const BigInteger others = modulus.n / power_of_p;
    x = (x + root * others * inverse(others % power_of_p, power_of_p)) % modulus.n;
  }
  return x;
}

/// A square root modulo a squarefree N whose primes are 3 modulo 4.
std::optional<BigInteger> square_root(const BigInteger& y, const Modulus& modulus) {
  BigInteger x = 0;
  for (const Factor& factor : modulus.factors) {
    const BigInteger root = power(y, (factor.p + 1) / 4, factor.p);
    if (!(root * root % factor.p == y % factor.p)) return std::nullopt;
    const BigInteger others = modulus.n / factor.p;
    x = (x + root * others * inverse(others % factor.p, factor.p)) % modulus.n;
  }
  return x;
}

struct Attempt {
  Bytes proof;
  unsigned nth_roots = 0;
  unsigned square_roots = 0;
};

/// The proof that somebody who knows the factors makes, with a 1 where there is no root.
Attempt attempt(const Modulus& modulus, Rng& rng, bool squares) {
  const std::size_t size = modulus.n.bytes().size();
  const BigInteger u1 = BigInteger::random(static_cast<unsigned>(8 * size), rng) % modulus.n;
  const BigInteger u2 = BigInteger::random(static_cast<unsigned>(8 * size), rng) % modulus.n;
  const KeyChallenge challenge(modulus.n.get(), u1.get(), u2.get());
  Attempt made;
  const auto append = [&](const BigInteger& x) {
    const Bytes bytes = x.bytes(size);
    made.proof.insert(made.proof.end(), bytes.begin(), bytes.end());
  };
  append(u1);
  append(u2);
  const auto number = [](const SecretMpz& value) {
    BigInteger copy;
    mpz_set(copy.get(), value);
    return copy;
  };
  for (unsigned i = 0; i < kNthRoots; ++i) {
    const auto root = odd_root(number(challenge.nth_power(i)), modulus.n, modulus);
    made.nth_roots += root ? 1 : 0;
    append(root.value_or(1));
  }
  unsigned bits[2] = {0, 0};
  for (unsigned i = 0; i < kSquareRoots; ++i) {
    const BigInteger y = number(challenge.square(i));
    std::optional<BigInteger> root;
    for (unsigned b = 0; squares && !root && b < 4; ++b) {
      root =
          square_root(y * ((b & 1) != 0 ? u1 : BigInteger(1)) * ((b & 2) != 0 ? u2 : BigInteger(1)), modulus);
      if (!root) continue;
      bits[0] |= (b & 1) << i;
      bits[1] |= (b >> 1) << i;
    }
    made.square_roots += root ? 1 : 0;
    append(root.value_or(1));
  }
  made.proof.push_back(static_cast<std::uint8_t>(bits[0]));
  made.proof.push_back(static_cast<std::uint8_t>(bits[1]));
  return made;
}

Bytes with_proof(const PublicKey& key, ByteView proof) {
  Bytes wire = PublicKey::from_modulus(key.modulus(), kTest).serialise();
  wire[4] = 2;
  wire.insert(wire.end(), proof.begin(), proof.end());
  return wire;
}

}  // namespace

TEST_CASE("honest keys of every size and kind have a proof, always the same", "[paillier][keys][proof]") {
  test::SeededRng rng(1);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    for (const unsigned bits : {256U, 384U, 512U, 1024U}) {
      CAPTURE(bits);
      const PrivateKey key = PrivateKey::generate(bits, kind, kTest, rng);
      const Bytes proof(key.public_key().proof().begin(), key.public_key().proof().end());
      REQUIRE(proof.size() == key_proof_bytes(bits / 8));
      REQUIRE_NOTHROW(check_key_proof(SecretMpz(key.public_key().modulus()), proof));
      REQUIRE(prove_key(SecretMpz(key.q()), SecretMpz(key.p())) == proof);
      REQUIRE_NOTHROW(PublicKey::parse(key.public_key().serialise(), kTest, ProofPolicy::required));
      REQUIRE_NOTHROW(PublicKey::from_json(key.public_key().to_json(), kTest, ProofPolicy::required));
    }
  }
  for (const unsigned bits : {2048U, 3072U, 4096U}) {
    const PrivateKey key = PrivateKey::generate(bits, KeyKind::ordinary, KeySizePolicy::standard, rng);
    REQUIRE_NOTHROW(
        PublicKey::parse(key.public_key().serialise(), KeySizePolicy::standard, ProofPolicy::required));
  }
}

TEST_CASE("keys made elsewhere have a proof too, whatever their primes are modulo powers of 2",
          "[paillier][keys][proof]") {
  test::SeededRng rng(2);
  for (const auto& [residue, modulus] :
       {std::pair(1UL, 4UL), std::pair(5UL, 8UL), std::pair(1UL, 8UL), std::pair(1UL, 256UL)}) {
    for (const unsigned long other : {1UL, 3UL}) {
      CAPTURE(residue, modulus, other);
      const BigInteger p = prime_of(128, residue, modulus, rng);
      const BigInteger q = prime_of(128, other, 4, rng);
      const PrivateKey key = PrivateKey::from_primes(p.bytes(), q.bytes(), kTest);
      REQUIRE_NOTHROW(PublicKey::parse(key.public_key().serialise(), kTest, ProofPolicy::required));
    }
  }
}

TEST_CASE("a proof for another modulus, cut, longer or damaged is refused", "[paillier][keys][proof]") {
  test::SeededRng rng(3);
  const PrivateKey key = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const PrivateKey other = PrivateKey::generate(256, KeyKind::ordinary, kTest, rng);
  const SecretMpz n(key.public_key().modulus());
  const Bytes proof(key.public_key().proof().begin(), key.public_key().proof().end());
  const auto refuse = [&](ByteView wrong) {
    return expect_error("key.proof", [&] { check_key_proof(n, wrong); });
  };
  refuse(other.public_key().proof());
  expect_error("key.proof",
               [&] { PublicKey::parse(with_proof(key.public_key(), other.public_key().proof()), kTest); });
  for (std::size_t size = 0; size < proof.size(); ++size) refuse(ByteView(proof).first(size));
  Bytes longer = proof;
  longer.push_back(0);
  refuse(longer);
  for (std::size_t bit = 0; bit < 8 * proof.size(); ++bit) {
    Bytes damaged = proof;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    refuse(damaged);
  }
  // Numbers outside [1, N − 1], also where they would be right modulo N.
  for (std::size_t place = 0; place + 2 < proof.size(); place += 32) {
    Bytes zero = proof;
    std::fill_n(zero.begin() + static_cast<std::ptrdiff_t>(place), 32, std::uint8_t{0});
    refuse(zero);
    const BigInteger above =
        BigInteger(ByteView(proof).subspan(place, 32)) + BigInteger(key.public_key().modulus());
    if (above.bits() > 256) continue;
    Bytes large = proof;
    std::ranges::copy(above.bytes(32), large.begin() + static_cast<std::ptrdiff_t>(place));
    refuse(large);
  }
}

TEST_CASE("N-th powers are as rare as the bound says, and squares with u1 and u2 too: all toy moduli",
          "[paillier][keys][proof]") {
  unsigned unfit = 0;
  for (unsigned n = 9; n < 1500; n += 2) {
    unsigned t = 0;
    for (unsigned rest = n, p = 3; rest > 1; p += 2) {
      t += rest % p == 0 ? 1 : 0;
      while (rest % p == 0) rest /= p;
    }
    std::vector<unsigned> units;
    for (unsigned x = 1; x < n; ++x) {
      if (std::gcd(x, n) == 1) units.push_back(x);
    }
    const auto to_power = [n](unsigned x, unsigned exponent) {
      unsigned result = 1;
      for (; exponent != 0; exponent >>= 1, x = x * x % n)
        result = (exponent & 1) != 0 ? result * x % n : result;
      return result;
    };
    std::set<unsigned> powers;
    std::set<unsigned> squares;
    for (const unsigned x : units) {
      powers.insert(to_power(x, n));
      squares.insert(x * x % n);
    }
    const auto phi = static_cast<unsigned>(units.size());
    const unsigned common = std::gcd(n, phi);
    unsigned smallest = 2;
    while (common > 1 && common % smallest != 0) ++smallest;
    CAPTURE(n, t, phi);
    if (common == 1) {
      REQUIRE(powers.size() == phi);
    } else {
      ++unfit;
      REQUIRE(powers.size() * smallest <= phi);
    }
    REQUIRE((squares.size() << t) == phi);  // with u1 and u2 at most four times as many: 2^(2−t) of all
  }
  REQUIRE(unfit > 100);
}

TEST_CASE("moduli with a prime power or p | q − 1 pass validation but have no proof",
          "[paillier][keys][proof]") {
  test::SeededRng rng(4);
  const auto refuse = [&](const Modulus& modulus) {
    const PublicKey key = PublicKey::from_modulus(modulus.n.bytes(), kTest);  // nothing else stops it
    for (int i = 0; i < 5; ++i) {
      const Attempt made = attempt(modulus, rng, false);
      REQUIRE(made.nth_roots < kNthRoots);
      REQUIRE_THAT(expect_error("key.proof", [&] { PublicKey::parse(with_proof(key, made.proof), kTest); }),
                   Contains("no factor in common"));
    }
  };
  for (const unsigned exponent : {2U, 5U, 12U}) {
    const BigInteger p = prime_of(17, 3, 4, rng);
    refuse(Modulus({{p, exponent}, {prime_to_fill(prime_power(p, exponent), rng), 1}}));
  }
  const BigInteger p = prime_of(100, 3, 4, rng);
  refuse(Modulus({{p, 1}, {prime_to_fill(p, rng, p * 4), 1}}));  // p | q − 1, since step / 2 is 2·p
}

TEST_CASE("a modulus of many primes has N-th roots but not the square roots", "[paillier][keys][proof]") {
  test::SeededRng rng(5);
  for (const unsigned t : {2U, 6U, 13U}) {
    CAPTURE(t);
    std::vector<Factor> factors;
    for (unsigned i = 1; i < t; ++i) factors.push_back({prime_of(256 / t, 3, 4, rng), 1});
    factors.push_back({prime_to_fill(Modulus(factors).n, rng), 1});
    const Modulus modulus(factors);
    const PublicKey key = PublicKey::from_modulus(modulus.n.bytes(), kTest);
    unsigned found = 0;
    unsigned accepted = 0;
    constexpr unsigned kAttempts = 40;
    for (unsigned i = 0; i < kAttempts; ++i) {
      const Attempt made = attempt(modulus, rng, true);
      REQUIRE(made.nth_roots == kNthRoots);
      found += made.square_roots;
      try {
        PublicKey::parse(with_proof(key, made.proof), kTest);
        ++accepted;
      } catch (const InputError& error) {
        REQUIRE(error.code() == "key.proof");
        REQUIRE_THAT(error.what(), Contains("few prime factors"));
        REQUIRE(made.square_roots < kSquareRoots);
      }
    }
    if (t == 2) {
      REQUIRE(accepted > 0);  // u1 and u2 at random generate with probability 3/8
    } else {
      // At most 2^(2−t) of all y have a root; five times that never happens.
      REQUIRE(accepted == 0);
      REQUIRE(found <= 5 * kAttempts * kSquareRoots * 4 / (1U << t) + 5);
    }
  }
}
