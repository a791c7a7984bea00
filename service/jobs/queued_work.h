// Work on the job queue whose result the caller waits for.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include "service/jobs/job_queue.h"
#include "service/refusal.h"

namespace popcorn::service {

enum class Urgency {
  turn,   ///< JobQueue::submit()
  later,  ///< JobQueue::submit_later()
};

/// Puts `work` on the queue. @throws Refusal when the queue does not take it; `work` has not run then
template <typename Result>
std::future<Result> submit(JobQueue& queue, const std::string& caller, std::function<Result()> work,
                           Urgency urgency = Urgency::turn) {
  auto promise = std::make_shared<std::promise<Result>>();
  auto future = promise->get_future();
  JobQueue::Job job = [promise, work = std::move(work)] {
    try {
      promise->set_value(work());
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
  };
  if (urgency == Urgency::later) {
    queue.submit_later(caller, std::move(job));
  } else {
    queue.submit(caller, std::move(job));
  }
  return future;
}

[[noreturn]] inline void refuse_slow() {
  throw Refusal(RefusalKind::timed_out, "server.timeout",
                "The answer takes longer than a request may; send the same request again", 1);
}

/// @throws what the work threw; Refusal timed_out after `patience`: the work then ends by itself, so it must
/// own all that it uses
template <typename Result>
Result await(std::future<Result> future, std::chrono::seconds patience) {
  if (future.wait_for(patience) != std::future_status::ready) {
    refuse_slow();
  }
  return future.get();
}

}  // namespace popcorn::service
