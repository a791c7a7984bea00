#include "service/key_admission.h"

#include <algorithm>
#include <cmath>

#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMaxBuckets = 4096;
constexpr std::size_t kMaxKnown = 4096;
constexpr double kSecondsPerMinute = 60;

}  // namespace

double KeyAdmission::refilled(const Bucket& bucket, Clock::time_point now) const {
  const std::chrono::duration<double> passed = now - bucket.filled;
  return std::min<double>(per_minute_, bucket.tokens + passed.count() * per_minute_ / kSecondsPerMinute);
}

void KeyAdmission::forget_full_buckets_locked(Clock::time_point now) {
  std::erase_if(buckets_, [&](const auto& entry) { return refilled(entry.second, now) >= per_minute_; });
}

void KeyAdmission::admit(const std::string& caller, Clock::time_point now) {
  if (per_minute_ == 0) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMaxBuckets && !buckets_.contains(caller)) {
    forget_full_buckets_locked(now);
    if (buckets_.size() >= kMaxBuckets) {
      throw Refusal(RefusalKind::unavailable, "key.rate", "Too many callers register keys; ask again later",
                    10);
    }
  }
  Bucket& bucket = buckets_.try_emplace(caller, Bucket{static_cast<double>(per_minute_), now}).first->second;
  bucket.tokens = refilled(bucket, now);
  bucket.filled = now;
  if (bucket.tokens < 1) {
    const double seconds = (1 - bucket.tokens) * kSecondsPerMinute / per_minute_;
    throw Refusal(RefusalKind::over_limit, "key.rate",
                  "You register more than " + std::to_string(per_minute_) + " keys a minute",
                  static_cast<unsigned>(std::ceil(seconds)));
  }
  bucket.tokens -= 1;
}

void KeyAdmission::give_back(const std::string& caller) {
  const std::lock_guard lock(mutex_);
  const auto bucket = buckets_.find(caller);  // one that was full again may be gone
  if (bucket != buckets_.end()) {
    bucket->second.tokens = std::min<double>(per_minute_, bucket->second.tokens + 1);
  }
}

std::optional<std::string> KeyAdmission::known(const std::string& caller, const Sha256& body) const {
  const std::lock_guard lock(mutex_);
  const auto found = key_ids_.find({caller, body});
  return found == key_ids_.end() ? std::nullopt : std::optional(found->second);
}

void KeyAdmission::remember(const std::string& caller, const Sha256& body, const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  if (!key_ids_.emplace(Name{caller, body}, key_id).second) {
    return;
  }
  oldest_first_.emplace_back(caller, body);
  if (oldest_first_.size() > kMaxKnown) {
    key_ids_.erase(oldest_first_.front());
    oldest_first_.pop_front();
  }
}

}  // namespace popcorn::service
