#include "service/jobs/idle_preparation.h"

#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "service/jobs/idle_rerandomisers.h"
#include "tests/support/eventually.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;

TEST_CASE("An idle client prepares the encryptions that are to come and no more", "[client]") {
  test::SeededRng rng(71);
  const auto owner = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
      256, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test, rng));
  constexpr std::uint64_t kWanted = 150;
  service::IdlePreparation preparation(owner, kWanted);
  preparation.start();
  REQUIRE(test::eventually([&] { return owner->prepared() >= kWanted; }));
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

TEST_CASE("An idle server prepares re-randomisations, and none while a job runs", "[server]") {
  test::SeededRng rng(72);
  const auto key = paillier::PrivateKey::generate(256, paillier::KeyKind::ordinary,
                                                  paillier::KeySizePolicy::insecure_test, rng);
  auto context = paillier::PublicContext::create(key.public_key());
  service::Metrics metrics;
  service::JobQueue queue({});
  service::IdleRerandomisers rerandomisers(queue, metrics);

  std::promise<void> started;
  std::promise<void> release;
  queue.submit("caller", [&] {
    started.set_value();
    release.get_future().wait();
  });
  started.get_future().wait();
  rerandomisers.request(context, 150);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(context->prepared() == 0);
  release.set_value();
  REQUIRE(test::eventually([&] { return metrics.snapshot().prepared >= 150; }));
  CHECK(context->prepared() >= 150);
  CHECK(context->prepared() < 150 + 64);
  CHECK(metrics.snapshot().offline_seconds > 0);

  // Of a key that is gone nothing is prepared, and the next request has its turn.
  const std::weak_ptr<const paillier::PublicContext> gone = context;
  context.reset();
  CHECK(gone.expired());
  rerandomisers.request(nullptr, 100);
  context = paillier::PublicContext::create(key.public_key());
  rerandomisers.request(context, 10);
  REQUIRE(test::eventually([&] { return metrics.snapshot().prepared >= 160; }));
  CHECK(context->prepared() >= 10);
}
