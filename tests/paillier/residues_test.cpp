// Plaintexts as residues in [0, N): masks, sums with them, decryption, shifts.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "paillier/big_integer.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "paillier/operation_costs.h"
#include "tests/paillier/expect_error.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::paillier {
namespace {

struct Owner {
  explicit Owner(unsigned bits, std::uint64_t seed)
      : rng(seed),
        owner(PrivateKey::generate(bits, KeyKind::ordinary, KeySizePolicy::insecure_test, rng), rng),
        evaluator(PublicContext::create(owner.public_key(), rng), rng),
        n(owner.public_key().modulus()) {}

  CiphertextBatch encrypt(const WideVector& values) {
    Bytes wire;
    owner.encrypt(values, wire);
    return evaluator.parse(wire, values.size());
  }
  WideVector residues(const CiphertextBatch& batch) {
    Bytes wire;
    evaluator.serialise(batch, wire);
    return owner.decrypt_residues(wire, batch.size());
  }

  test::SeededRng rng;
  KeyOwner owner;
  Evaluator evaluator;
  BigInteger n;
};

TEST_CASE("masks lie in [0, N) and reach all of it", "[residues]") {
  Owner party(256, 1);
  const WideVector masks = uniform_residues(party.owner.public_key(), 4000, party.rng);
  REQUIRE(masks.limbs() == residue_limbs(256));
  BigInteger value, eighth;
  std::array<int, 8> counts{};
  for (std::size_t i = 0; i < masks.size(); ++i) {
    REQUIRE_FALSE(masks.is_negative(i));
    value.set_limbs(masks[i]);
    REQUIRE(mpz_cmp(value.get(), party.n.get()) < 0);
    mpz_mul_ui(eighth.get(), value.get(), 8);
    mpz_fdiv_q(eighth.get(), eighth.get(), party.n.get());
    ++counts.at(mpz_get_ui(eighth.get()));
  }
  for (const int count : counts) {  // 500 each, standard deviation 21
    CHECK(count > 380);
    CHECK(count < 620);
  }
}

TEST_CASE("residues of [0, 2N) are added modulo N and come back in [0, N)", "[residues]") {
  for (const unsigned bits : {256U, 512U}) {
    Owner party(bits, 2);
    const std::size_t limbs = residue_limbs(bits);
    // 0, 1, N − 1, N, N + 1, 2N − 1
    std::vector<BigInteger> added(6);
    for (const auto& [i, times, more] :
         {std::tuple{0, 0, 0}, {1, 0, 1}, {2, 1, -1}, {3, 1, 0}, {4, 1, 1}, {5, 2, -1}}) {
      mpz_ptr value = added[static_cast<std::size_t>(i)].get();
      mpz_mul_si(value, party.n.get(), times);
      if (more < 0) mpz_sub_ui(value, value, 1);
      if (more > 0) mpz_add_ui(value, value, 1);
    }
    WideVector plain(added.size(), limbs), addends(added.size(), limbs);
    for (std::size_t i = 0; i < added.size(); ++i) {
      plain.set_int64(i, static_cast<std::int64_t>(party.rng.below(1000)) - 500);
      std::ranges::copy(added[i].limbs(limbs), addends[i].begin());
    }
    CiphertextBatch batch = party.encrypt(plain);
    const std::uint64_t before = party.evaluator.counts().multiplications;
    party.evaluator.add_residues_inplace(batch, addends);
    CHECK(party.evaluator.counts().multiplications - before == add_plain_cost(added.size()));
    const WideVector sums = party.residues(batch);
    for (std::size_t i = 0; i < added.size(); ++i) {
      BigInteger expected, got;
      mpz_set_si(expected.get(), plain.to_int64(i));
      mpz_add(expected.get(), expected.get(), added[i].get());
      mpz_mod(expected.get(), expected.get(), party.n.get());
      got.set_limbs(sums[i]);
      CHECK(mpz_cmp(got.get(), expected.get()) == 0);
    }
    // 2N and −1 are no such residues.
    BigInteger twice;
    mpz_mul_ui(twice.get(), party.n.get(), 2);
    WideVector foreign(added.size(), limbs);
    std::ranges::copy(twice.limbs(limbs), foreign[3].begin());
    test::expect_error<Error>("plaintext.too_large",
                              [&] { party.evaluator.add_residues_inplace(batch, foreign); });
    foreign.set_int64(3, -1);
    test::expect_error<Error>("plaintext.too_large",
                              [&] { party.evaluator.add_residues_inplace(batch, foreign); });
  }
}

TEST_CASE("a shift multiplies by a power of two", "[residues]") {
  Owner party(256, 3);
  CiphertextBatch batch = party.encrypt(WideVector::from_int64(std::vector<std::int64_t>{0, 1, 77, 12345}));
  const std::uint64_t before = party.evaluator.counts().multiplications;
  party.evaluator.shift_inplace(batch, 33);
  CHECK(party.evaluator.counts().multiplications - before == shift_cost(4, 33));
  CHECK(party.residues(batch) ==
        WideVector::from_int64(std::vector<std::int64_t>{0, std::int64_t{1} << 33, std::int64_t{77} << 33,
                                                         std::int64_t{12345} << 33}));
}

}  // namespace
}  // namespace popcorn::paillier
