#include "service/jobs/job_queue.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "paillier/evaluator.h"
#include "service/refusal.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn::service;

namespace {

/// Occupies a worker until it goes away.
class Blocker {
 public:
  explicit Blocker(JobQueue& queue) {
    queue.submit("blocker", [future = release_.get_future().share(), started = &started_] {
      started->set_value();
      future.wait();
    });
    started_.get_future().wait();
  }
  ~Blocker() { release(); }
  void release() {
    if (!released_) {
      release_.set_value();
      released_ = true;
    }
  }

 private:
  std::promise<void> release_, started_;
  bool released_ = false;
};

}  // namespace

TEST_CASE("Callers take turns however much one of them queues", "[queue]") {
  std::mutex mutex;
  std::string order;
  const auto note = [&](char c) {
    return [&, c] {
      const std::lock_guard lock(mutex);
      order += c;
    };
  };
  {
    JobQueue queue({1, 64, 64});
    Blocker blocker(queue);
    for (int i = 0; i < 4; ++i) {
      queue.submit("a", note('a'));
    }
    queue.submit("b", note('b'));
    queue.submit("b", note('b'));
    queue.submit("c", note('c'));
    CHECK(queue.depth() == 7);
    blocker.release();
    queue.finish();
  }
  CHECK(order == "abcabaa");
}

TEST_CASE("What can wait begins when nothing else waits, and takes half of the places", "[queue]") {
  std::mutex mutex;
  std::string order;
  const auto note = [&](char c) {
    return [&, c] {
      const std::lock_guard lock(mutex);
      order += c;
    };
  };
  JobQueue queue({1, 8, 8});
  Blocker blocker(queue);
  queue.submit_later("a", note('1'));
  queue.submit_later("b", note('2'));
  queue.submit("a", note('a'));
  queue.submit("c", note('c'));
  CHECK(queue.depth() == 4);
  try {
    queue.submit_later("d", note('3'));
    FAIL("half of the places are taken");
  } catch (const Refusal& refusal) {
    CHECK(refusal.code() == "server.busy");
    CHECK(refusal.retry_after_seconds() > 0);
  }
  queue.submit("d", note('d'));  // others may have the rest
  blocker.release();
  queue.finish();
  CHECK(order == "acd12");
}

TEST_CASE("A full queue says when to come back", "[queue]") {
  JobQueue queue({1, 4, 3});
  Blocker blocker(queue);
  std::atomic<int> done{0};
  const auto job = [&] { ++done; };
  for (int i = 0; i < 3; ++i) {
    queue.submit("a", job);
  }
  try {
    queue.submit("a", job);
    FAIL("one caller filled more than its share");
  } catch (const Refusal& refusal) {
    CHECK(refusal.kind() == RefusalKind::over_limit);
    CHECK(refusal.retry_after_seconds() >= 1);
  }
  queue.submit("b", job);
  try {
    queue.submit("c", job);
    FAIL("the queue took more than its bound");
  } catch (const Refusal& refusal) {
    CHECK(refusal.kind() == RefusalKind::unavailable);
    CHECK(refusal.retry_after_seconds() >= 1);
  }
  blocker.release();
  queue.finish();
  CHECK(done == 4);
  CHECK_THROWS_AS(queue.submit("a", job), Refusal);
}

TEST_CASE("A small computation ends while a large one occupies the cores", "[queue]") {
  namespace paillier = popcorn::paillier;
  popcorn::test::SeededRng rng(81);
  const auto key = paillier::PrivateKey::generate(512, paillier::KeyKind::ordinary,
                                                  paillier::KeySizePolicy::insecure_test, rng);
  const paillier::Evaluator evaluator(paillier::PublicContext::create(key.public_key(), rng));
  const auto compute = [&](std::size_t ciphertexts) {
    const popcorn::WideVector values(ciphertexts, 1);
    evaluator.scalar_multiply(evaluator.encrypt_trivial(values), values, 64);
  };
  // Each worker's computation is an arena of its own to oneTBB, so that its thread goes on whatever the
  // others do. The large one ends with the small one, or else after work enough for half a minute.
  constexpr int kMost = 20000;
  std::atomic<bool> small_done{false};
  std::promise<void> started;
  std::promise<int> large;
  JobQueue queue({2, 64, 64});
  queue.submit("large", [&] {
    int rounds = 0;
    for (; rounds < kMost && !small_done; ++rounds) {
      compute(512);
      if (rounds == 0) started.set_value();
    }
    large.set_value(rounds);
  });
  started.get_future().wait();
  queue.submit("small", [&] {
    for (int i = 0; i < 10; ++i) compute(8);
    small_done = true;
  });
  CHECK(large.get_future().get() < kMost);
}
