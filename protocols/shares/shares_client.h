// The client's half of an inference on shares.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "protocols/engine.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/shares/kept_preparation.h"
#include "protocols/shares/run/share_halves.h"
#include "protocols/shares/shares_schedule.h"

namespace popcorn::protocols::shares {

class SharesClient final : public ClientEngine {
 public:
  /// @throws InputError "bundle.shares", "model.too_wide"
  SharesClient(const ClientParts& parts, WideVector input, ShareRounding rounding);
  ~SharesClient() override;

  const Schedule& schedule() const noexcept override { return schedule_; }
  void message(std::uint64_t round, Bytes& out) override;
  WideVector decrypt(std::uint64_t round, ByteView ciphertexts) const override;
  void take(std::uint64_t round, WideVector plaintexts, ByteView section) override;
  const WideVector& result() const override { return result_; }
  void provide(WideVector input) override { input_ = std::move(input); }
  /// Until the first online message is made.
  bool can_be_kept(std::uint64_t round) const override;
  void save(std::uint64_t round, StateWriter& out) const override;
  void restore(std::uint64_t round, StateReader& in) override;
  /// Of this party's shares, for a process that holds both. Before the first flight.
  void observe(ShareObserver observer) { observer_ = std::move(observer); }

 private:
  void check_facts(const ClientBundle& bundle) const;
  void take_set_up(ByteView section);
  void take_preparation(std::uint64_t round, WideVector plaintexts);
  void begin_transfers();
  void keep_transfers();
  void begin_online();
  ot::Words chosen(std::size_t node) const;
  void take_answer();

  std::shared_ptr<const paillier::KeyOwner> owner_;
  Rng& rng_;
  SharePlan plan_;
  SharesSchedule schedule_;
  WideVector input_, result_;
  std::size_t result_limbs_;
  std::vector<ot::Words> shares_;      ///< chosen, by source
  std::vector<MaskedResult> results_;  ///< by layer
  ot::BaseOwner base_;
  std::optional<ot::BaseChooser> reverse_;
  PreparedSeeds seeds_;
  PreparedTransfers prepared_;
  std::unique_ptr<TransferHalves> transfers_;
  std::optional<ClientPart> part_;
  std::optional<ot::Half> half_;
  ShareAnswer answer_;
  ShareObserver observer_;
  Bytes flight_;  ///< received last
};

}  // namespace popcorn::protocols::shares
