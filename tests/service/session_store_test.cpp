// The once-only rule, against any store.
#include "service/store/session_store.h"

#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "paillier/evaluator.h"
#include "service/refusal.h"
#include "service/store/preparation_folder.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using service::RoundClaim;
using service::SessionPhase;

namespace {

const auto kSoon = [] { return std::chrono::steady_clock::now() + std::chrono::seconds(20); };

struct Case {
  std::shared_ptr<const protocols::ServedModel> model = small_model("tiny");
  std::shared_ptr<const paillier::PublicContext> context =
      paillier::PublicContext::create(small_key()->public_key());

  std::unique_ptr<protocols::ServerSession> machine() const {
    return std::make_unique<protocols::ServerSession>(model, context);
  }
  service::SessionInfo info(const std::string& id, const std::string& caller = "") const {
    service::SessionInfo made;
    made.id = id;
    made.model = "tiny";
    made.caller = made.account = caller;
    made.rounds = machine()->rounds();
    return made;
  }
};

Sha256 digest(const std::string& text) {
  return sha256(as_bytes(text));
}

std::shared_ptr<const Bytes> answer(const std::string& text) {
  const ByteView view = as_bytes(text);
  return std::make_shared<const Bytes>(view.begin(), view.end());
}

}  // namespace

TEST_CASE("A round is answered for one body only", "[store]") {
  const Case make;
  const auto store = service::make_memory_session_store({});
  store->create(make.info("s"), make.machine());
  CHECK(store->claim("other", 0, digest("a")).state == RoundClaim::State::unknown);
  CHECK(store->claim("s", 1, digest("a")).state == RoundClaim::State::out_of_order);

  RoundClaim first = store->claim("s", 0, digest("a"));
  REQUIRE(first.state == RoundClaim::State::granted);
  auto machine = store->take(first);
  REQUIRE(machine);
  CHECK(store->claim("s", 0, digest("a")).state == RoundClaim::State::running);
  CHECK(store->claim("s", 0, digest("b")).state == RoundClaim::State::other_body);
  CHECK(store->find("s")->computing);

  SECTION("an answer stays the answer") {
    CHECK(*store->commit(first, answer("x"), std::move(machine)) == *answer("x"));
    const RoundClaim again = store->claim("s", 0, digest("a"));
    CHECK(again.state == RoundClaim::State::answered);
    CHECK(*again.answer == *answer("x"));
    CHECK(store->claim("s", 0, digest("b")).state == RoundClaim::State::other_body);
    CHECK(store->find("s")->next_round == 1);
    CHECK(store->claim("s", 1, digest("c")).state == RoundClaim::State::granted);
    CHECK(store->claim("s", 0, digest("a")).state == RoundClaim::State::answered);
  }
  SECTION("a round that failed is open again") {
    store->abandon(first, std::move(machine));
    CHECK_FALSE(store->find("s")->computing);
    const RoundClaim second = store->claim("s", 0, digest("b"));
    CHECK(second.state == RoundClaim::State::granted);
    store->abandon(second, nullptr);  // before it was taken
    const RoundClaim third = store->claim("s", 0, digest("c"));
    CHECK(third.state == RoundClaim::State::granted);
    CHECK(store->take(third));
  }
  SECTION("a session that was cancelled meanwhile has no answer") {
    CHECK(store->erase("s"));
    CHECK_FALSE(store->erase("s"));
    CHECK(store->commit(first, answer("x"), std::move(machine)) == nullptr);
    CHECK(store->claim("s", 0, digest("a")).state == RoundClaim::State::gone);
    CHECK(store->find("s")->phase == SessionPhase::gone);
  }
}

TEST_CASE("Who sends the same body meanwhile waits for the answer", "[store]") {
  const Case make;
  // The store asks for the time under its lock: once the waiter has asked, commit() comes when it waits.
  std::promise<void> asked;
  std::thread::id waiter;
  std::mutex mutex;
  service::SessionStoreOptions options;
  options.now = [&] {
    const std::lock_guard lock(mutex);
    if (std::exchange(waiter, waiter == std::this_thread::get_id() ? std::thread::id() : waiter) ==
        std::this_thread::get_id())
      asked.set_value();
    return std::chrono::steady_clock::now();
  };
  const auto store = service::make_memory_session_store(options);
  store->create(make.info("s"), make.machine());
  RoundClaim first = store->claim("s", 0, digest("a"));
  auto machine = store->take(first);
  RoundClaim waited;
  std::thread other([&] {
    {
      const std::lock_guard lock(mutex);
      waiter = std::this_thread::get_id();
    }
    waited = store->claim_or_wait("s", 0, digest("a"), kSoon());
  });
  asked.get_future().wait();
  store->commit(first, answer("x"), std::move(machine));
  other.join();
  CHECK(waited.state == RoundClaim::State::answered);
  CHECK(*waited.answer == *answer("x"));
}

TEST_CASE("Many threads with different bodies: exactly one computes", "[store]") {
  const Case make;
  const auto store = service::make_memory_session_store({});
  store->create(make.info("s"), make.machine());
  std::atomic<int> granted{0}, refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const std::string body = std::to_string(i);
      RoundClaim claim = store->claim_or_wait("s", 0, digest(body), kSoon());
      if (claim.state == RoundClaim::State::granted) {
        ++granted;
        store->commit(claim, answer(body), store->take(claim));
      } else {
        refused += claim.state == RoundClaim::State::other_body ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(granted == 1);
  CHECK(refused == 7);
}

TEST_CASE("Sessions end with their lifetime and are counted by caller", "[store]") {
  const Case make;
  service::SessionStoreOptions options;
  options.max_sessions = 2;
  options.lifetime = std::chrono::seconds(150);
  auto now = std::chrono::steady_clock::now();
  options.now = [&now] { return now; };
  const auto store = service::make_memory_session_store(options);
  store->create(make.info("s", "a"), make.machine());
  store->create(make.info("t", "b"), make.machine());
  CHECK(store->active() == 2);
  CHECK(store->active("a") == 1);
  CHECK_THROWS_AS(store->create(make.info("u", "a"), make.machine()), service::Refusal);
  RoundClaim running = store->claim("s", 0, digest("a"));
  now += std::chrono::seconds(149);
  CHECK(store->sweep() == 0);
  now += std::chrono::seconds(2);
  CHECK(store->sweep() == 1);
  CHECK(store->find("t")->phase == SessionPhase::gone);
  CHECK(store->claim("t", 0, digest("a")).state == RoundClaim::State::gone);
  // One whose round is computed does not end under its hands.
  CHECK(store->find("s")->phase == SessionPhase::active);
  CHECK(store->commit(running, answer("x"), store->take(running)));
  now += std::chrono::seconds(302);
  store->sweep();
  CHECK_FALSE(store->find("t"));
}
