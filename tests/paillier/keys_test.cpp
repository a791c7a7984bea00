#include "paillier/keys.h"

#include <gmp.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::paillier;

namespace {

constexpr KeySizePolicy kTest = KeySizePolicy::insecure_test;

}  // namespace

TEST_CASE("generated keys pass the validation of received ones", "[paillier][keys]") {
  test::SeededRng rng(1);
  for (const KeyKind kind : {KeyKind::ordinary, KeyKind::subgroup}) {
    for (const unsigned bits : {256U, 384U, 512U, 768U, 1024U}) {
      const PrivateKey key = PrivateKey::generate(bits, kind, kTest, rng);
      REQUIRE(key.public_key().bits() == bits);
      REQUIRE(key.public_key().kind() == kind);
      const PublicKey parsed = PublicKey::parse(key.public_key().serialise(), kTest);
      REQUIRE(parsed == key.public_key());
      const PrivateKey again = kind == KeyKind::ordinary ? PrivateKey::from_primes(key.p(), key.q(), kTest)
                                                         : PrivateKey::from_subgroup_primes(
                                                               key.p(), key.q(), key.p_order(), key.q_order(),
                                                               key.public_key().generator(), kTest);
      REQUIRE(again.public_key() == key.public_key());
      REQUIRE(PublicKey::from_json(key.public_key().to_json(), kTest) == key.public_key());
      REQUIRE(PrivateKey::from_json(key.to_json(), kTest).public_key() == key.public_key());
    }
  }
}
