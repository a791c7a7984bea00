// Both halves of a protocol on random transfers, in one process.
#pragma once

#include <array>
#include <functional>
#include <utility>

#include "base/random.h"
#include "protocols/ot/random_transfer.h"
#include "protocols/ot/share_transfers.h"

namespace popcorn::test {

/// Base transfers as an honest set-up leaves them.
struct DealtBase {
  protocols::ot::OfferedSeeds offered;
  protocols::ot::ChosenSeeds chosen;
};
DealtBase deal_base(Rng& rng);

/// What was sent, by the first party and by the second.
struct Traffic {
  std::array<std::uint64_t, 2> bytes{};
  std::uint64_t flights = 0;  ///< messages that were not empty
};

/// Runs two halves against each other until both are over. `alter` may change a flight on its way (from the
/// first party or not).
Traffic run_halves(protocols::ot::Half& first, protocols::ot::Half& second,
                   const std::function<void(bool, Bytes&)>& alter = {});

/// Two parties with both directions.
class TwoParties {
 public:
  explicit TwoParties(protocols::ot::TransferSource source, Rng& rng,
                      const protocols::ot::kernels::Kernel& kernel = protocols::ot::kernels::active());
  protocols::ot::TransferParty& party(bool first) { return first ? first_ : second_; }

  using Body = std::function<protocols::ot::Dialogue<void>(protocols::ot::TransferParty&)>;
  /// The same body at both.
  Traffic run(const Body& body);

 private:
  DealtBase forward_;
  DealtBase backward_;
  protocols::ot::Wire first_wire_;
  protocols::ot::Wire second_wire_;
  protocols::ot::RandomTransferSender first_sender_;
  protocols::ot::RandomTransferReceiver second_receiver_;
  protocols::ot::RandomTransferSender second_sender_;
  protocols::ot::RandomTransferReceiver first_receiver_;
  protocols::ot::TransferParty first_;
  protocols::ot::TransferParty second_;
};

}  // namespace popcorn::test
