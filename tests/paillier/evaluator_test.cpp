// Homomorphic properties over random keys and values, at the boundaries of the plaintext space.
#include "paillier/evaluator.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "paillier/big_integer.h"
#include "paillier/keys/key_owner.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;

namespace {

struct Parties {
  explicit Parties(std::uint64_t seed, unsigned bits = 512, KeyKind kind = KeyKind::ordinary)
      : rng(seed),
        owner(PrivateKey::generate(bits, kind, KeySizePolicy::insecure_test, rng), rng),
        context(PublicContext::create(owner.public_key(), rng)),
        evaluator(context, rng) {}

  WideVector decrypt(const CiphertextBatch& batch, std::size_t limbs = 8) const {
    Bytes wire;
    evaluator.serialise(batch, wire);
    return owner.decrypt(wire, batch.size(), limbs);
  }
  CiphertextBatch encrypt(const WideVector& values) const {
    Bytes wire;
    owner.encrypt(values, wire);
    return evaluator.parse(wire, values.size());
  }

  mutable test::SeededRng rng;
  KeyOwner owner;
  std::shared_ptr<const PublicContext> context;
  Evaluator evaluator;
};

WideVector random_values(test::SeededRng& rng, std::size_t count, unsigned bits, std::size_t limbs = 8) {
  WideVector values(count, limbs);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < bits / 64 + 1 && k < limbs; ++k) values[i][k] = rng.next_u64();
    const std::size_t top = bits / 64;
    if (top < limbs) values[i][top] &= (std::uint64_t{1} << (bits % 64)) - 1;
    for (std::size_t k = top + 1; k < limbs; ++k) values[i][k] = 0;
    if (rng.below(2) == 1) {  // negate
      std::uint64_t carry = 1;
      for (auto& word : values[i]) {
        word = ~word + carry;
        carry = (carry != 0 && word == 0) ? 1 : 0;
      }
    }
  }
  return values;
}

WideVector small(std::initializer_list<std::int64_t> values) {
  return WideVector::from_int64(std::vector<std::int64_t>(values));
}

}  // namespace

TEST_CASE("decryption inverts encryption by the owner, by the public key and by the textbook",
          "[evaluator]") {
  const auto kind = GENERATE(KeyKind::ordinary, KeyKind::subgroup);
  for (const unsigned bits : {256U, 512U, 1024U}) {
    Parties parties(bits, bits, kind);
    for (const std::size_t count : {1, 7, 8, 9, 33}) {
      WideVector values = random_values(parties.rng, count, bits - 3, bits / 64);
      if (count > 2) {
        values.set_int64(0, 0);
        values.set_int64(1, -1);
        values.set_int64(2, 1);
      }
      REQUIRE(parties.decrypt(parties.encrypt(values), bits / 64) == values);
      REQUIRE(parties.decrypt(parties.evaluator.encrypt(values), bits / 64) == values);
      REQUIRE(parties.decrypt(parties.evaluator.encrypt_trivial(values), bits / 64) == values);
      if (kind == KeyKind::ordinary) {
        Bytes wire;
        encrypt_textbook(parties.owner.public_key(), values, wire, parties.rng);
        REQUIRE(parties.owner.decrypt(wire, count, bits / 64) == values);
      }
    }
  }
}

TEST_CASE("owner's ciphertexts are what the public formula says", "[evaluator]") {
  // c / (1 + mN) must be an N-th residue: its (p−1)(q−1)-th power is 1, and the plaintext is m by a GMP
  // computation.
  Parties parties(3);
  const BigInteger n(parties.owner.public_key().modulus());
  BigInteger n_squared;
  mpz_mul(n_squared.get(), n.get(), n.get());
  const BigInteger p(parties.owner.private_key().p());
  const BigInteger q(parties.owner.private_key().q());
  BigInteger lambda;
  BigInteger q_minus_1;
  mpz_sub_ui(lambda.get(), p.get(), 1);
  mpz_sub_ui(q_minus_1.get(), q.get(), 1);
  mpz_mul(lambda.get(), lambda.get(), q_minus_1.get());
  const WideVector values = small({0, 1, -1, 77, -12345});
  Bytes wire;
  parties.owner.encrypt(values, wire);
  const std::size_t width = parties.owner.public_key().ciphertext_bytes();
  for (std::size_t i = 0; i < values.size(); ++i) {
    BigInteger c(ByteView(wire).subspan(i * width, width));
    mpz_powm(c.get(), c.get(), lambda.get(), n_squared.get());  // 1 + m·λ·N
    mpz_sub_ui(c.get(), c.get(), 1);
    REQUIRE(mpz_divisible_p(c.get(), n.get()) != 0);
    mpz_divexact(c.get(), c.get(), n.get());
    BigInteger inverse;
    mpz_invert(inverse.get(), lambda.get(), n.get());
    mpz_mul(c.get(), c.get(), inverse.get());
    mpz_mod(c.get(), c.get(), n.get());
    BigInteger expected;
    mpz_set_si(expected.get(), values.to_int64(i));
    mpz_mod(expected.get(), expected.get(), n.get());
    REQUIRE(mpz_cmp(c.get(), expected.get()) == 0);
  }
}

TEST_CASE("plaintexts at the edge of the plaintext space", "[evaluator]") {
  Parties parties(4, 256);
  WideVector edge(2, 5);
  edge[0][3] = (std::uint64_t{1} << 62) - 1;  // 2^254 − 2^192
  edge[1][3] = ~edge[0][3];
  edge[1][4] = ~std::uint64_t{0};
  for (std::size_t k = 0; k < 3; ++k) edge[1][k] = ~std::uint64_t{0};
  REQUIRE(parties.decrypt(parties.encrypt(edge), 5) == edge);
  REQUIRE(parties.decrypt(parties.evaluator.encrypt(edge), 5) == edge);
  WideVector large(1, 5);
  large[0][3] = std::uint64_t{1} << 62;
  Bytes wire;
  REQUIRE_THROWS_AS(parties.owner.encrypt(large, wire), Error);
  REQUIRE_THROWS_AS(parties.evaluator.encrypt_trivial(large), Error);
  // A value that does not fit the width asked for is an error, not a truncation.
  parties.owner.encrypt(edge, wire);
  REQUIRE_THROWS_AS(parties.owner.decrypt(wire, 2, 1), InputError);
}

TEST_CASE("sums, differences, negation and plaintext operands", "[evaluator]") {
  for (const std::uint64_t seed : {5, 6, 7}) {
    Parties parties(seed);
    const std::size_t count = 1 + parties.rng.below(40);
    std::vector<std::int64_t> a(count);
    std::vector<std::int64_t> b(count);
    for (std::size_t i = 0; i < count; ++i) {
      a[i] = parties.rng.between(-1'000'000'000, 1'000'000'000);
      b[i] = parties.rng.between(-1'000'000'000, 1'000'000'000);
    }
    const CiphertextBatch x = parties.encrypt(WideVector::from_int64(a));
    const CiphertextBatch y = parties.encrypt(WideVector::from_int64(b));
    const WideVector sum = parties.decrypt(parties.evaluator.add(x, y), 1);
    const WideVector difference = parties.decrypt(parties.evaluator.subtract(x, y), 1);
    const WideVector negated = parties.decrypt(parties.evaluator.negate(x), 1);
    CiphertextBatch shifted = x.clone();
    parties.evaluator.add_plain_inplace(shifted, WideVector::from_int64(b));
    const WideVector plain = parties.decrypt(shifted, 1);
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE(sum.to_int64(i) == a[i] + b[i]);
      REQUIRE(difference.to_int64(i) == a[i] - b[i]);
      REQUIRE(negated.to_int64(i) == -a[i]);
      REQUIRE(plain.to_int64(i) == a[i] + b[i]);
    }
  }
}

TEST_CASE("scalar multiples and selection", "[evaluator]") {
  Parties parties(8);
  const std::size_t count = 21;
  std::vector<std::int64_t> a(count);
  std::vector<std::int64_t> k(count);
  std::vector<std::uint8_t> choose(count);
  for (std::size_t i = 0; i < count; ++i) {
    a[i] = parties.rng.between(-1000, 1000);
    k[i] = parties.rng.between(0, (std::int64_t{1} << 40) - 1);
    choose[i] = static_cast<std::uint8_t>(parties.rng.below(2));
  }
  k[0] = 0;
  k[1] = 1;
  k[2] = (std::int64_t{1} << 40) - 1;
  const CiphertextBatch x = parties.encrypt(WideVector::from_int64(a));
  const CiphertextBatch multiplied = parties.evaluator.scalar_multiply(x, WideVector::from_int64(k), 40);
  const WideVector products = parties.decrypt(multiplied, 1);
  for (std::size_t i = 0; i < count; ++i) REQUIRE(products.to_int64(i) == a[i] * k[i]);
  const WideVector selected = parties.decrypt(parties.evaluator.select(x, multiplied, choose), 1);
  for (std::size_t i = 0; i < count; ++i)
    REQUIRE(selected.to_int64(i) == (choose[i] != 0 ? a[i] * k[i] : a[i]));
  for (const std::int64_t factor : {0, 1, -1, 2, 3, -7, 100, 65535}) {
    const WideVector result = parties.decrypt(parties.evaluator.scalar_multiply_public(x, factor), 1);
    for (std::size_t i = 0; i < count; ++i) REQUIRE(result.to_int64(i) == a[i] * factor);
  }
}

TEST_CASE("packing: ciphertext slots equal plaintext slots", "[evaluator]") {
  Parties parties(9, 1024);
  for (const unsigned slot_bits : {9U, 33U, 64U, 65U, 150U}) {
    const std::size_t per =
        std::min<std::size_t>(slots_per_ciphertext(1024, slot_bits), 1 + parties.rng.below(20));
    for (const std::size_t count : {std::size_t{1}, per, per + 1, 3 * per + 2, 8 * per, 9 * per}) {
      // |x| < 2^(slot_bits − 2), made non-negative by an offset of 2^(slot_bits − 2) a slot.
      const WideVector values = random_values(parties.rng, count, slot_bits - 2, 3);
      WideVector offsets(count, 3);
      for (std::size_t i = 0; i < count; ++i) {
        offsets[i][(slot_bits - 2) / 64] = std::uint64_t{1} << ((slot_bits - 2) % 64);
      }
      CiphertextBatch packed = parties.evaluator.pack(parties.encrypt(values), slot_bits, per);
      REQUIRE(packed.size() == (count + per - 1) / per);
      const WideVector packed_offsets = pack_slots(offsets, slot_bits, per);
      parties.evaluator.add_plain_inplace(packed, packed_offsets);
      parties.evaluator.rerandomise_inplace(packed);
      const WideVector slots = unpack_slots(parties.decrypt(packed, 17), slot_bits, per, count, 3);
      for (std::size_t i = 0; i < count; ++i) {
        unsigned __int128 expected = 0;
        WideVector value(1, 4);
        std::uint64_t carry = 0;
        for (std::size_t k = 0; k < 3; ++k) {
          const unsigned __int128 sum = static_cast<unsigned __int128>(values[i][k]) + offsets[i][k] + carry;
          value[0][k] = static_cast<std::uint64_t>(sum);
          carry = static_cast<std::uint64_t>(sum >> 64);
        }
        expected = value[0][0];
        REQUIRE(static_cast<std::uint64_t>(expected) == slots[i][0]);
        REQUIRE(value[0][1] == slots[i][1]);
        REQUIRE(value[0][2] == slots[i][2]);
      }
    }
  }
  REQUIRE_THROWS_AS(pack_slots(small({-1}), 8, 2), Error);
  REQUIRE_THROWS_AS(pack_slots(small({256}), 8, 2), Error);
  REQUIRE_THROWS_AS(parties.evaluator.pack(parties.encrypt(small({1})), 512, 2), Error);
}

TEST_CASE("re-randomisation changes every ciphertext and no plaintext", "[evaluator]") {
  const auto kind = GENERATE(KeyKind::ordinary, KeyKind::subgroup);
  Parties parties(10, 512, kind);
  const WideVector values = random_values(parties.rng, 19, 100, 2);
  CiphertextBatch x = parties.encrypt(values);
  Bytes before;
  parties.evaluator.serialise(x, before);
  parties.evaluator.rerandomise_inplace(x);
  Bytes after;
  parties.evaluator.serialise(x, after);
  const std::size_t width = parties.owner.public_key().ciphertext_bytes();
  for (std::size_t i = 0; i < values.size(); ++i) {
    REQUIRE_FALSE(std::equal(before.begin() + static_cast<std::ptrdiff_t>(i * width),
                             before.begin() + static_cast<std::ptrdiff_t>((i + 1) * width),
                             after.begin() + static_cast<std::ptrdiff_t>(i * width)));
  }
  REQUIRE(parties.decrypt(x, 2) == values);
}

TEST_CASE("hostile ciphertexts are refused with their index", "[evaluator]") {
  Parties parties(11);
  const std::size_t width = parties.owner.public_key().ciphertext_bytes();
  Bytes wire;
  parties.owner.encrypt(WideVector(20, 1), wire);
  const auto with = [&](std::size_t index, const Bytes& value) {
    Bytes copy = wire;
    std::copy(value.begin(), value.end(), copy.begin() + static_cast<std::ptrdiff_t>(index * width));
    return copy;
  };
  const auto expect_index = [&](const Bytes& bytes, const std::string& index) {
    try {
      const CiphertextBatch batch = parties.evaluator.parse(bytes, 20);
      FAIL("a hostile ciphertext was taken: " << batch.size());
    } catch (const InputError& error) {
      REQUIRE(error.code() == "ciphertext.invalid");
      REQUIRE(std::string(error.what()).find("ciphertext " + index + " ") != std::string::npos);
    }
  };
  const Bytes zero(width, 0);
  const Bytes ones(width, 0xff);
  Bytes multiple_of_p(width, 0);
  const ByteView p = parties.owner.private_key().p();
  std::copy(p.begin(), p.end(), multiple_of_p.end() - static_cast<std::ptrdiff_t>(p.size()));
  Bytes n(width, 0);
  const ByteView modulus = parties.owner.public_key().modulus();
  std::copy(modulus.begin(), modulus.end(), n.end() - static_cast<std::ptrdiff_t>(modulus.size()));
  for (const std::size_t index : {0, 7, 8, 19}) {
    for (const Bytes& value : {zero, ones, multiple_of_p, n})
      expect_index(with(index, value), std::to_string(index));
  }
  REQUIRE_THROWS_AS(parties.evaluator.parse(ByteView(wire).first(wire.size() - 1), 20), InputError);
  REQUIRE_THROWS_AS(parties.owner.decrypt(with(3, ones), 20, 8), InputError);
  REQUIRE_THROWS_AS(parties.owner.decrypt(with(3, multiple_of_p), 20, 8), InputError);
  REQUIRE_THROWS_AS(parties.owner.decrypt(with(3, zero), 20, 8), InputError);
}

TEST_CASE("counts are exact", "[evaluator]") {
  Parties parties(12);
  Evaluator fresh(parties.context, parties.rng);
  const CiphertextBatch x = parties.encrypt(random_values(parties.rng, 10, 20, 1));
  REQUIRE(fresh.counts().multiplications == 0);
  const CiphertextBatch y = fresh.add(x, x);
  REQUIRE(fresh.counts().multiplications == 10);
  const CiphertextBatch z = fresh.negate(y);
  REQUIRE(fresh.counts().multiplications == 40);
  REQUIRE(fresh.counts().inversions == 1);
  const CiphertextBatch packed = fresh.pack(z, 30, 4);  // 3 ciphertexts of 4, 4 and 2 values
  REQUIRE(fresh.counts().multiplications == 40 + 7 * 31);
  REQUIRE(fresh.counts().squarings == 7 * 30);
  REQUIRE(packed.size() == 3);
}

TEST_CASE("every way to encrypt takes the same plaintexts", "[evaluator]") {
  test::SeededRng rng(77);
  constexpr unsigned kBits = 256;
  const KeyOwner owner(PrivateKey::generate(kBits, KeyKind::ordinary, KeySizePolicy::insecure_test, rng),
                       rng);
  const Evaluator evaluator(PublicContext::create(owner.public_key(), rng), rng);
  constexpr std::size_t kLimbs = kBits / 64 + 1;
  const auto power = [&](unsigned exponent, bool negative,
                         bool one_more) {  // ±2^exponent, or one farther from 0
    WideVector value(1, kLimbs);
    const std::span<std::uint64_t> words = value[0];
    words[exponent / 64] = std::uint64_t{1} << (exponent % 64);
    if (one_more) words[0] |= 1;
    if (!negative) return value;
    std::uint64_t carry = 1;
    for (std::uint64_t& word : words) {
      word = ~word + carry;
      carry = carry != 0 && word == 0 ? 1 : 0;
    }
    return value;
  };
  WideVector largest(1, kLimbs);  // 2^(|N|−2) − 1
  for (unsigned bit = 0; bit < kBits - 2; ++bit) largest[0][bit / 64] |= std::uint64_t{1} << (bit % 64);

  for (const WideVector& value : {largest, power(kBits - 2, true, false)}) {
    Bytes wire;
    owner.encrypt(value, wire);
    CiphertextBatch sum = evaluator.encrypt(WideVector(1, 1));
    evaluator.add_plain_inplace(sum, value);
    evaluator.serialise(sum, wire);
    evaluator.serialise(evaluator.encrypt_trivial(value), wire);
    const WideVector decrypted = owner.decrypt(wire, 3, kLimbs);
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(std::ranges::equal(decrypted[i], value[0]));
  }
  for (const WideVector& value : {power(kBits - 2, false, false), power(kBits - 2, true, true)}) {
    Bytes wire;
    CiphertextBatch sum = evaluator.encrypt(WideVector(1, 1));
    REQUIRE_THROWS_AS(owner.encrypt(value, wire), Error);
    REQUIRE(wire.empty());
    REQUIRE_THROWS_AS(evaluator.encrypt_trivial(value), Error);
    REQUIRE_THROWS_AS(evaluator.encrypt(value), Error);
    REQUIRE_THROWS_AS(evaluator.add_plain_inplace(sum, value), Error);
  }
}
