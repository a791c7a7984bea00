// Random factors of re-randomisations that the server makes ahead while no client waits for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "paillier/evaluator.h"
#include "service/jobs/job_queue.h"
#include "service/metrics.h"

namespace popcorn::service {

/// A thread of its own that works (on all cores) whenever the queue is idle, a few milliseconds at a time.
class IdleRerandomisers {
 public:
  IdleRerandomisers(const JobQueue& queue, Metrics& metrics);
  ~IdleRerandomisers();
  IdleRerandomisers(const IdleRerandomisers&) = delete;
  IdleRerandomisers& operator=(const IdleRerandomisers&) = delete;

  /// A session under this key will send `count` ciphertexts. Forgotten when too much is asked for already,
  /// and when the key goes.
  void request(const std::shared_ptr<const paillier::PublicContext>& context, std::uint64_t count);

 private:
  struct Request {
    std::weak_ptr<const paillier::PublicContext> context;
    std::uint64_t left;
  };

  void work();
  /// One piece of the oldest request; false when it needs no more.
  bool prepare(Request& request);

  const JobQueue& queue_;
  Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> requests_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace popcorn::service
