#include "service/jobs/idle_rerandomisers.h"

#include <algorithm>
#include <chrono>

namespace popcorn::service {

namespace {

constexpr std::uint64_t kTogether = 64;
/// Of one key; bounds the memory: 5 MB with a 2048-bit key.
constexpr std::uint64_t kMostPrepared = 8192;
constexpr std::size_t kMostRequests = 1024;
constexpr std::chrono::milliseconds kPatience{2};

}  // namespace

IdleRerandomisers::IdleRerandomisers(const JobQueue& queue, Metrics& metrics)
    : queue_(queue), metrics_(metrics), thread_([this] { work(); }) {}

IdleRerandomisers::~IdleRerandomisers() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void IdleRerandomisers::request(const std::shared_ptr<const paillier::PublicContext>& context,
                                std::uint64_t count) {
  {
    const std::lock_guard lock(mutex_);
    if (requests_.size() >= kMostRequests) return;
    requests_.push_back({context, std::min(count, kMostPrepared)});
  }
  wake_.notify_one();
}

bool IdleRerandomisers::prepare(Request& request) {
  const auto context = request.context.lock();
  if (!context || request.left == 0 || context->prepared() >= kMostPrepared) return false;
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t count = std::min(kTogether, request.left);
  context->prepare(count);
  request.left -= count;
  metrics_.prepared(count, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return true;
}

void IdleRerandomisers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopped_ || !requests_.empty(); });
    if (stopped_) return;
    if (!queue_.idle()) {
      wake_.wait_for(lock, kPatience, [this] { return stopped_; });
      continue;
    }
    Request request = requests_.front();
    lock.unlock();
    const bool more = prepare(request);
    lock.lock();
    if (more) {
      requests_.front().left = request.left;
    } else {
      requests_.pop_front();
    }
  }
}

}  // namespace popcorn::service
