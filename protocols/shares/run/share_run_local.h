// Both parties of an inference on shares in one process, with a dealer in place of the preparation: for
// verifying, tests and benchmarks.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "protocols/ot/steps/local_parties.h"
#include "protocols/shares/run/share_run.h"

namespace popcorn::protocols::shares {

/// What a preparation would leave: made as packed plaintexts make it, slot by slot, without encrypting them.
struct DealtPreparation {
  std::map<std::size_t, ot::Words> chosen;             ///< by tensor: the client's
  std::map<std::size_t, MaskedResult> server, client;  ///< by weighted node
};
DealtPreparation deal_preparation(const models::IntegerNetwork& network, const SharePlan& plan, Rng& rng);

/// A tensor whose shares were put together: representatives in [−2^(ring−1), 2^(ring−1)).
using OpenedObserver =
    std::function<void(std::size_t node, unsigned ring, const std::vector<std::int64_t>& values)>;

struct LocalInference {
  ShareAnswer answer;
  ot::Traffic transfers;                          ///< what made the random transfers ahead
  ot::Traffic online;                             ///< from the input on
  std::array<std::uint64_t, 2> transfers_used{};  ///< whose pads the server has both of, whose the client
};

class LocalShares {
 public:
  /// The network must outlive it. @throws as plan_shares
  LocalShares(const models::IntegerNetwork& network, const ShareOptions& options, Rng& rng);
  const SharePlan& plan() const noexcept { return plan_; }

  /// With a preparation of its own.
  LocalInference infer(const WideVector& input, const OpenedObserver& observer = {});
  LocalInference infer(const WideVector& input, const DealtPreparation& preparation,
                       const OpenedObserver& observer = {},
                       const std::function<void(bool from_server, Bytes& flight)>& alter = {});
  ot::TwoParties& parties() noexcept { return *parties_; }

 private:
  const models::IntegerNetwork& network_;
  SharePlan plan_;
  ClearLayers layers_;
  Rng& rng_;
  std::unique_ptr<ot::TwoParties> parties_;
};

/// Whether the tensors of an inference are those of the network, in so many bits as each is held in.
class OpenedCheck {
 public:
  OpenedCheck(const models::IntegerNetwork& network, const WideVector& input);
  OpenedObserver observer();
  std::size_t values() const noexcept { return values_; }
  std::size_t wrong() const noexcept { return wrong_; }
  /// Of the first wrong value, or empty.
  const std::string& first_wrong() const noexcept { return first_wrong_; }

 private:
  const models::IntegerNetwork& network_;
  std::vector<WideVector> expected_;
  std::size_t values_ = 0, wrong_ = 0;
  std::string first_wrong_;
};

}  // namespace popcorn::protocols::shares
