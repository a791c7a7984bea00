// Registering a key costs up to half a second of a core, since the key is validated: what a caller may ask of
// that.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/sha256.h"

namespace popcorn::service {

/// Thread-safe.
class KeyAdmission {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param keys_per_minute of one caller, also at once after a pause; 0 = any number
  explicit KeyAdmission(unsigned keys_per_minute) : per_minute_(keys_per_minute) {}

  /// Counts one validation. @throws Refusal over_limit "key.rate" with the seconds until the next is due
  void admit(const std::string& caller, Clock::time_point now = Clock::now());
  /// The validation that was counted last does not take place: the queue was full, say.
  void give_back(const std::string& caller);

  /// The id of the key that this caller registered with this very body, so that it need not be validated
  /// again.
  std::optional<std::string> known(const std::string& caller, const Sha256& body) const;
  void remember(const std::string& caller, const Sha256& body, const std::string& key_id);

 private:
  struct Bucket {
    double tokens = 0;
    Clock::time_point filled;
  };
  using Name = std::pair<std::string, Sha256>;

  void forget_full_buckets_locked(Clock::time_point now);
  double refilled(const Bucket& bucket, Clock::time_point now) const;

  const unsigned per_minute_;
  mutable std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
  std::map<Name, std::string> key_ids_;
  std::deque<Name> oldest_first_;
};

}  // namespace popcorn::service
