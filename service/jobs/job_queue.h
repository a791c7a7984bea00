// The bounded queue in front of the heavy work: a few workers compute (each spread over the cores by oneTBB),
// HTTP threads only wait for them. Callers take turns, whatever each of them has queued.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace popcorn::service {

struct JobQueueOptions {
  unsigned workers = 2;
  std::size_t max_waiting = 64;             ///< in all
  std::size_t max_waiting_per_caller = 64;  ///< so that one caller cannot fill the queue
};

class JobQueue {
 public:
  /// Must not throw.
  using Job = std::function<void()>;
  /// Called with the seconds that a job waited and the seconds that it ran.
  using Observer = std::function<void(double waited, double ran)>;

  explicit JobQueue(JobQueueOptions options, Observer observer = {});
  ~JobQueue() { finish(); }
  /// Takes nothing more, runs what is queued, then ends its workers.
  void finish();

  /// @throws Refusal unavailable "server.busy" or over_limit "caller.busy", with the seconds after which it
  /// makes sense to ask again: what is queued times what a job took lately
  void submit(const std::string& caller, Job job);
  /// For work that may as well be done later: only while at most half of the places are taken. Such a job
  /// does not count in what retry_after_seconds() says.
  bool try_submit(const std::string& caller, Job job);
  /// For work that somebody waits for, but not as others do, as on preparations: it begins when nothing else
  /// waits, first come, first served. @throws Refusal unavailable "server.busy" unless at most half of the
  /// places are taken, over_limit "caller.busy" for more than half of what a caller may have
  void submit_later(const std::string& caller, Job job);
  /// Jobs that wait.
  std::size_t depth() const;
  /// Nothing waits and nothing runs.
  bool idle() const;
  unsigned retry_after_seconds() const;

 private:
  struct Waiting {
    Job job;
    std::chrono::steady_clock::time_point since;
    bool optional = false;
  };

  void work();
  Waiting next_locked();
  std::size_t waiting_locked(const std::string& caller) const;
  void enqueue_locked(const std::string& caller, Waiting waiting);
  unsigned retry_after_locked() const;

  const JobQueueOptions options_;
  const Observer observer_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::deque<Waiting>> waiting_;  ///< by caller; no empty queues
  std::deque<std::string> turns_;                       ///< callers with work, next first
  std::deque<std::pair<std::string, Waiting>> later_;   ///< by caller too
  std::size_t depth_ = 0;                               ///< of all that waits
  std::size_t running_ = 0;
  double mean_seconds_ = 0;  ///< moving average
  bool stopped_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace popcorn::service
