// The engine on packed shares: everything that needs Paillier is done before the input is there, the rest by
// random transfers on additive shares.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "protocols/engine.h"
#include "protocols/shares/run/share_run.h"
#include "protocols/shares/shares_schedule.h"

namespace popcorn::protocols::shares {

/// "shares": rounding to nearest, bit for bit the requantised network.
const Engine& shares_engine();
/// "shares-fast": the low digits are dropped without their carry; half the bytes, a rounding of its own.
const Engine& shares_fast_engine();

/// What a server keeps of a network, for keys of any size.
class SharesNetwork final : public PreparedNetwork {
 public:
  /// @param network outlives the object
  SharesNetwork(const models::IntegerNetwork& network, ShareRounding rounding);
  const models::IntegerNetwork& network() const noexcept { return network_; }
  const SharePlan& plan() const noexcept { return plan_; }
  const ClearLayers& layers() const noexcept { return layers_; }
  /// Planned when first asked for; thread-safe. Seconds for a large network.
  std::shared_ptr<const PackedNetwork> packed(unsigned key_bits) const;

 private:
  const models::IntegerNetwork& network_;
  SharePlan plan_;
  PreparationPlan preparation_;
  ClearLayers layers_;
  mutable std::mutex mutex_;
  mutable std::map<unsigned, std::shared_ptr<const PackedNetwork>> packed_;
};

}  // namespace popcorn::protocols::shares
