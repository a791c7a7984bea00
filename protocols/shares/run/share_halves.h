// What both halves of an inference on shares have in common.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "base/random.h"
#include "base/wide_vector.h"
#include "protocols/ot/sources/base_seeds.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/ot/steps/share_transfers.h"
#include "protocols/shares/run/share_run.h"

namespace popcorn::protocols::shares {

/// A party's transfers of both directions, from its base transfers of each. Wipes the seeds it was given.
class TransferHalves {
 public:
  /// @param nonce of the session
  TransferHalves(ot::TransferSource source, ot::ChosenSeeds& chosen, ot::OfferedSeeds& offered,
                 ByteView nonce, bool is_server, Rng& rng);
  /// Of transfers that others made; makes none.
  TransferHalves(ot::SentPads sent, ot::ReceivedPads received, bool is_server);
  ot::Wire& wire() noexcept { return wire_; }
  ot::TransferParty& party() noexcept { return party_; }
  /// The next transfers of both directions; these halves have none any more.
  ot::SentPads release_sent(std::size_t count) { return sender_.release(count); }
  ot::ReceivedPads release_received(std::size_t count) { return receiver_.release(count); }
  std::size_t memory_bytes() const noexcept { return sender_.memory_bytes() + receiver_.memory_bytes(); }

 private:
  ot::Wire wire_;
  ot::RandomTransferSender sender_;
  ot::RandomTransferReceiver receiver_;
  ot::TransferParty party_;
};

/// Runs a half on. Whatever was wrong with the flight, the half is of no use any more.
/// @throws FailedCheck with the code of the problem
Bytes advance_or_fail(ot::Half& half, ByteView flight);

/// Puts the shares of two halves in one process together; tells those tensors that are held in as many bits
/// as their values have.
class ShareOpener {
 public:
  using Opened = std::function<void(std::size_t node, const WideVector& values)>;
  ShareOpener(const SharePlan& plan, Opened opened) : plan_(plan), opened_(std::move(opened)) {}
  void add(std::size_t node, unsigned ring, const ShareTensor& share);

 private:
  const SharePlan& plan_;
  Opened opened_;
  std::map<std::size_t, ShareTensor> waiting_;
};

}  // namespace popcorn::protocols::shares
