#include "service/jobs/job_queue.h"

#include <algorithm>
#include <cmath>

#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr double kAverageWeight = 0.2;  ///< of the newest job in the moving average
constexpr double kLongestRetry = 120;

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

JobQueue::JobQueue(JobQueueOptions options, Observer observer)
    : options_(options), observer_(std::move(observer)) {
  for (unsigned i = 0; i < std::max(1U, options_.workers); ++i) {
    workers_.emplace_back([this] { work(); });
  }
}

void JobQueue::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) {
    if (worker.joinable()) {
      worker.join();
    }
  }
}

void JobQueue::submit(const std::string& caller, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || depth_ >= options_.max_waiting) {
      throw Refusal(RefusalKind::unavailable, "server.busy", "The server is busy; ask again later",
                    retry_after_locked());
    }
    if (waiting_locked(caller) >= options_.max_waiting_per_caller) {
      throw Refusal(RefusalKind::over_limit, "caller.busy",
                    "Too many of your requests are waiting; ask again later", retry_after_locked());
    }
    enqueue_locked(caller, {std::move(job), std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
}

bool JobQueue::try_submit(const std::string& caller, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || 2 * depth_ >= options_.max_waiting ||
        2 * waiting_locked(caller) >= options_.max_waiting_per_caller) {
      return false;
    }
    enqueue_locked(caller, {std::move(job), std::chrono::steady_clock::now(), true});
  }
  wake_.notify_one();
  return true;
}

std::size_t JobQueue::waiting_locked(const std::string& caller) const {
  const auto own = waiting_.find(caller);
  return own == waiting_.end() ? 0 : own->second.size();
}

void JobQueue::enqueue_locked(const std::string& caller, Waiting waiting) {
  auto& own = waiting_[caller];
  if (own.empty()) {
    turns_.push_back(caller);
  }
  own.push_back(std::move(waiting));
  ++depth_;
}

std::size_t JobQueue::depth() const {
  const std::lock_guard lock(mutex_);
  return depth_;
}

bool JobQueue::idle() const {
  const std::lock_guard lock(mutex_);
  return depth_ == 0 && running_ == 0;
}

unsigned JobQueue::retry_after_seconds() const {
  const std::lock_guard lock(mutex_);
  return retry_after_locked();
}

unsigned JobQueue::retry_after_locked() const {
  const double ahead = static_cast<double>(depth_ + running_) / static_cast<double>(workers_.size());
  return static_cast<unsigned>(std::clamp(std::ceil(ahead * mean_seconds_), 1.0, kLongestRetry));
}

void JobQueue::submit_later(const std::string& caller, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || 2 * depth_ >= options_.max_waiting) {
      throw Refusal(RefusalKind::unavailable, "server.busy", "The server is busy; ask again later",
                    retry_after_locked());
    }
    const auto own = std::ranges::count(later_, caller, [](const auto& item) { return item.first; });
    if (2 * static_cast<std::size_t>(own) >= options_.max_waiting_per_caller) {
      throw Refusal(RefusalKind::over_limit, "caller.busy",
                    "Too many of your requests are waiting; ask again later", retry_after_locked());
    }
    later_.emplace_back(caller, Waiting{std::move(job), std::chrono::steady_clock::now()});
    ++depth_;
  }
  wake_.notify_one();
}

JobQueue::Waiting JobQueue::next_locked() {
  if (turns_.empty()) {
    Waiting next = std::move(later_.front().second);
    later_.pop_front();
    return next;
  }
  const std::string caller = std::move(turns_.front());
  turns_.pop_front();
  const auto own = waiting_.find(caller);
  Waiting next = std::move(own->second.front());
  own->second.pop_front();
  if (own->second.empty()) {
    waiting_.erase(own);
  } else {
    turns_.push_back(caller);
  }
  return next;
}

void JobQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopped_ || depth_ > 0; });
    if (depth_ == 0) {
      return;
    }
    Waiting next = next_locked();
    --depth_;
    ++running_;
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    next.job();
    next.job = nullptr;  // what it holds goes away without the lock
    const auto end = std::chrono::steady_clock::now();
    if (observer_ && !next.optional) {
      observer_(seconds_between(next.since, start), seconds_between(start, end));
    }
    lock.lock();
    --running_;
    if (next.optional) {
      continue;
    }
    const double seconds = seconds_between(start, end);
    mean_seconds_ = mean_seconds_ == 0 ? seconds : mean_seconds_ + kAverageWeight * (seconds - mean_seconds_);
  }
}

}  // namespace popcorn::service
