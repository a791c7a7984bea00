#include "service/job_queue.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "service/refusal.h"

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
