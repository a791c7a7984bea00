#include "service/key_admission.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMaxBuckets = 4096;
constexpr std::size_t kMaxKnown = 4096;
constexpr double kSecondsPerMinute = 60;
constexpr unsigned kMaxBits = 4096;

}  // namespace

KeyClaim claim_of_binary(ByteView body) {
  constexpr std::size_t kKindAt = 6;
  constexpr std::size_t kBitsAt = 8;
  constexpr std::size_t kHeaderBytes = 12;
  if (body.size() < kHeaderBytes) {
    return {};
  }
  KeyClaim claim;
  for (std::size_t i = kHeaderBytes; i-- > kBitsAt;) {
    claim.bits = claim.bits << 8 | body[i];
  }
  claim.kind = body[kKindAt] == 0 ? paillier::KeyKind::ordinary : paillier::KeyKind::subgroup;
  return claim;
}

KeyClaim claim_of_json(const nlohmann::json& object) {
  KeyClaim claim;
  const auto modulus = object.find("n");
  if (modulus != object.end() && modulus->is_string()) {
    claim.bits = static_cast<unsigned>(
        std::min<std::size_t>(kMaxBits, 6 * modulus->get_ref<const std::string&>().size()));
  }
  const auto own = object.find("popcorn");
  const bool subgroup =
      own != object.end() && own->is_object() && own->value("kind", nlohmann::json()) == "subgroup";
  claim.kind = subgroup ? paillier::KeyKind::subgroup : paillier::KeyKind::ordinary;
  return claim;
}

unsigned cost_of(const KeyClaim& claim) {
  constexpr double kSlack = 0.1;  // for the length of a text in base64
  constexpr unsigned kGeneratorCost = 4;
  const double size = std::min(claim.bits, kMaxBits) / 2048.0;
  const auto cost = static_cast<unsigned>(std::max(1.0, std::ceil(size * size * size - kSlack)));
  return claim.kind == paillier::KeyKind::subgroup ? kGeneratorCost * cost : cost;
}

double KeyAdmission::within_share(unsigned cost) const {
  return std::min(cost, per_minute_);
}

double KeyAdmission::refilled(const Bucket& bucket, Clock::time_point now) const {
  const std::chrono::duration<double> passed = now - bucket.filled;
  return std::min<double>(per_minute_, bucket.tokens + passed.count() * per_minute_ / kSecondsPerMinute);
}

void KeyAdmission::forget_full_buckets_locked(Clock::time_point now) {
  std::erase_if(buckets_, [&](const auto& entry) { return refilled(entry.second, now) >= per_minute_; });
}

void KeyAdmission::admit(const std::string& caller, unsigned cost, Clock::time_point now) {
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
  const double wanted = within_share(cost);
  if (bucket.tokens < wanted) {
    const double seconds = (wanted - bucket.tokens) * kSecondsPerMinute / per_minute_;
    throw Refusal(RefusalKind::over_limit, "key.rate",
                  "You register more keys than " + std::to_string(per_minute_) +
                      " of 2048 bits a minute; longer and bad ones count more",
                  static_cast<unsigned>(std::ceil(seconds)));
  }
  bucket.tokens -= wanted;
}

void KeyAdmission::charge(const std::string& caller, unsigned cost) {
  const std::lock_guard lock(mutex_);
  const auto bucket = buckets_.find(caller);
  if (bucket != buckets_.end()) {
    bucket->second.tokens =
        std::max(-static_cast<double>(per_minute_), bucket->second.tokens - within_share(cost));
  }
}

void KeyAdmission::give_back(const std::string& caller, unsigned cost) {
  const std::lock_guard lock(mutex_);
  const auto bucket = buckets_.find(caller);  // one that was full again may be gone
  if (bucket != buckets_.end()) {
    bucket->second.tokens = std::min<double>(per_minute_, bucket->second.tokens + within_share(cost));
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
