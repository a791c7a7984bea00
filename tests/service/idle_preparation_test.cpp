#include "service/idle_preparation.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/seeded_rng.h"

using namespace popcorn;

TEST_CASE("An idle client prepares the encryptions that are to come and no more", "[client]") {
  test::SeededRng rng(71);
  const auto owner = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
      256, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test, rng));
  constexpr std::uint64_t kWanted = 150;
  service::IdlePreparation preparation(owner, kWanted);
  preparation.start();
  while (owner->prepared() < kWanted) std::this_thread::yield();
  preparation.stop();
  CHECK(preparation.seconds() > 0);
  CHECK(preparation.prepared() == owner->prepared());
  CHECK(owner->prepared() < kWanted + 64);

  Bytes wire;
  owner->encrypt(WideVector(100, 1), wire);
  const std::size_t left = owner->prepared();
  CHECK(left < 100);
  preparation.start();  // 50 are to come, more are ready
  preparation.stop();
  CHECK(owner->prepared() == left);
  owner->encrypt(WideVector(50, 1), wire);
  CHECK(owner->decrypt(wire, 150, 1) == WideVector(150, 1));
  preparation.start();  // nothing is to come
  preparation.stop();
  CHECK(preparation.prepared() < kWanted + 64);
}
