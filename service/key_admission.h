// Registering a key costs up to half a second of a core, since the key is validated: what a caller may ask of
// that.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/sha256.h"
#include "paillier/keys/keys.h"

namespace popcorn::service {

/// What a body says of the key in it, read without validating anything.
struct KeyClaim {
  unsigned bits = 0;
  paillier::KeyKind kind = paillier::KeyKind::ordinary;
};
/// Of the binary form; zeros when it is too short for a header.
KeyClaim claim_of_binary(ByteView body);
/// Of the JSON form: from the length of "n", so up to 5 bits too many.
KeyClaim claim_of_json(const nlohmann::json& object);
/// How much more than a key of 2048 bits this one takes to validate: 1, 4 and 8 for 2048, 3072 and 4096 bits,
/// since multiplications grow by the square and their number by the size; four times that for a generator.
unsigned cost_of(const KeyClaim& claim);

/// Thread-safe.
class KeyAdmission {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param keys_per_minute keys of 2048 bits of one caller, also at once after a pause; 0 = any number
  explicit KeyAdmission(unsigned keys_per_minute) : per_minute_(keys_per_minute) {}

  /// Counts one validation. A key that costs more than a whole minute's share takes all of it.
  /// @param cost see cost_of()
  /// @throws Refusal over_limit "key.rate" with the seconds until there is enough
  void admit(const std::string& caller, unsigned cost = 1, Clock::time_point now = Clock::now());
  /// The key was bad: it costs the same once more, if need be of the next minute's share.
  void charge(const std::string& caller, unsigned cost);
  /// A validation that was counted does not take place: the queue was full, say.
  void give_back(const std::string& caller, unsigned cost = 1);

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
  double within_share(unsigned cost) const;
  double refilled(const Bucket& bucket, Clock::time_point now) const;

  const unsigned per_minute_;
  mutable std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
  std::map<Name, std::string> key_ids_;
  std::deque<Name> oldest_first_;
};

}  // namespace popcorn::service
