// The rounds of an inference on shares:
//
//   0          set-up of the transfers    base transfers of both directions, but for the last message
//   1 … P      preparation                encrypted shares of some layers' inputs up, W·c + R down;
//                                         round 1 brings the last message of the set-up
//   … P + T    preparation                flights that make transfers, of a small network
//   P + T + 1 …  online                   flights of the two halves
//
// A round of the preparation takes as many layers as kPreparationBytes hold.
#pragma once

#include "protocols/client_bundle.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/plan/schedule.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/share_facts.h"

namespace popcorn::protocols::shares {

class SharesSchedule final : public Schedule {
 public:
  /// @throws InputError "bundle.shares", "model.too_wide"
  SharesSchedule(const ShareFacts& facts, ShareRounding rounding, const SharePlan& plan, unsigned key_bits);

  std::uint64_t rounds() const noexcept override { return first_flight() + flights_.online.size(); }
  Phase phase(std::uint64_t round) const override {
    return round < first_flight() ? Phase::preparation : Phase::online;
  }
  MessageShape client_message(std::uint64_t round) const override;
  MessageShape server_message(std::uint64_t round) const override;
  MessageAddress client_address(std::uint64_t round) const override;
  MessageAddress server_address(std::uint64_t round) const override { return client_address(round); }
  std::string step_name(std::uint64_t step) const override;

  const PreparationPlan& preparation() const noexcept { return preparation_; }
  std::size_t layers() const noexcept { return preparation_.layers.size(); }
  /// The round that makes transfers, or is the first online one where none does.
  std::uint64_t first_transfers() const noexcept { return 1 + prepared_.size(); }
  /// Of the online phase.
  std::uint64_t first_flight() const noexcept { return first_transfers() + flights_.transfers.size(); }
  bool prepares(std::uint64_t round) const noexcept { return round > 0 && round < first_transfers(); }
  bool makes_transfers(std::uint64_t round) const noexcept {
    return round >= first_transfers() && round < first_flight();
  }
  /// Whether the rounds before this one made all transfers.
  bool has_made_transfers(std::uint64_t round) const noexcept {
    return !transfers_.none() && round >= first_flight();
  }
  /// What the rounds that make transfers make; zero without any.
  const TransferNeed& transfers() const noexcept { return transfers_; }
  /// Layers that are prepared together: [first, end).
  struct Layers {
    std::size_t first = 0, end = 0;
  };
  /// Of a round, which must prepare some.
  const Layers& prepared(std::uint64_t round) const { return prepared_[static_cast<std::size_t>(round - 1)]; }
  const PackedLayout& layout(std::size_t layer) const { return layouts_[layer]; }

  static constexpr std::size_t kNonceBytes = 16;
  static constexpr std::uint64_t kSetUpReplyBytes = kNonceBytes + ot::kBaseReplyBytes + ot::kBaseRequestBytes;

  /// Of a round's ciphertexts in both directions, unless a single layer has more: enough for few round trips,
  /// little enough for both parties to hold.
  static constexpr std::uint64_t kPreparationBytes = std::uint64_t{4} << 20;

 private:
  void divide();

  PreparationPlan preparation_;
  std::vector<Layers> prepared_;
  std::vector<PackedLayout> layouts_;
  const FlightPair& flight(std::uint64_t round) const;

  TransferNeed transfers_;
  ShareFlights flights_;
  std::uint64_t ciphertext_bytes_;
};

}  // namespace popcorn::protocols::shares
