// Both halves of a protocol on random transfers, in one process: for tests and benchmarks. The base transfers
// are dealt, not made.
#pragma once

#include <array>
#include <functional>
#include <utility>

#include "base/random.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::protocols::ot {

/// Base transfers as an honest set-up leaves them.
struct DealtBase {
  OfferedSeeds offered;
  ChosenSeeds chosen;
};
DealtBase deal_base(Rng& rng);

/// What was sent, by the first party and by the second, and what it took them.
struct Traffic {
  std::array<std::uint64_t, 2> bytes{};
  std::array<double, 2> seconds{};  ///< processor time of the calling thread
  std::uint64_t flights = 0;        ///< messages that were not empty
};

/// Runs two halves against each other until both are over. `alter` may change a flight on its way (from the
/// first party or not).
Traffic run_halves(Half& first, Half& second, const std::function<void(bool, Bytes&)>& alter = {});

/// Two parties with both directions.
class TwoParties {
 public:
  explicit TwoParties(TransferSource source, Rng& rng, const kernels::Kernel& kernel = kernels::active());
  TransferParty& party(bool first) { return first ? first_ : second_; }

  using Body = std::function<Dialogue<void>(TransferParty&)>;
  /// The same body at both.
  Traffic run(const Body& body);

 private:
  DealtBase forward_;
  DealtBase backward_;
  Wire first_wire_;
  Wire second_wire_;
  RandomTransferSender first_sender_;
  RandomTransferReceiver second_receiver_;
  RandomTransferSender second_sender_;
  RandomTransferReceiver first_receiver_;
  TransferParty first_;
  TransferParty second_;
};

}  // namespace popcorn::protocols::ot
