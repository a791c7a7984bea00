#include "protocols/shares/shares_server.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/secret_bytes.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/shares/kept_preparation.h"
#include "protocols/shares/run/share_halves.h"
#include "protocols/shares/share_dry_run.h"
#include "protocols/shares/shares_client.h"

namespace popcorn::protocols::shares {

namespace {

class SharesServer final : public ServerEngine {
 public:
  SharesServer(const ServerParts& parts, const SharesNetwork& network, ShareRounding rounding)
      : network_(network),
        schedule_(*parts.bundle.share_facts, rounding, network.plan(), parts.key->key().bits()),
        packed_(network.packed(parts.key->key().bits())),
        evaluator_(parts.evaluator),
        rng_(parts.rng),
        results_(schedule_.layers()),
        reverse_(std::make_unique<ot::BaseOwner>(rng_)) {
    rng_.fill(seeds_.nonce);
  }
  ~SharesServer() override {
    for (MaskedResult& result : results_) wipe_and_clear(result.words);
  }

  const Schedule& schedule() const noexcept override { return schedule_; }

  void take(std::uint64_t round, ByteView section) override {
    if (round == 0) {
      chooser_.emplace(section);
    } else if (round == 1) {
      seeds_.offered = reverse_->finish(seeds_.nonce, section);
    } else if (!schedule_.prepares(round)) {
      flight_.assign(section.begin(), section.end());
    }
  }

  void answer(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) override {
    if (round == 0) {
      out.insert(out.end(), seeds_.nonce.begin(), seeds_.nonce.end());
      seeds_.chosen = chooser_->reply(seeds_.nonce, rng_, out);
      reverse_->request(out);
    } else if (schedule_.prepares(round)) {
      const PhaseTimer timer(phases_.linear);
      prepare(schedule_.prepared(round), ciphertexts, out);
    } else {
      const PhaseTimer timer(phases_.step);
      if (!half_) {
        if (schedule_.makes_transfers(round)) {
          begin_transfers();
        } else {
          begin_online();
        }
      }
      const Bytes flight = advance_or_fail(*half_, std::exchange(flight_, {}));
      out.insert(out.end(), flight.begin(), flight.end());
      if (schedule_.makes_transfers(round) && round + 1 == schedule_.first_flight()) keep_transfers();
    }
  }

  ServerPhases phases() const noexcept override { return phases_; }

  std::size_t memory_bytes() const noexcept override {
    std::size_t bytes = prepared_.memory_bytes() + (transfers_ ? transfers_->memory_bytes() : 0);
    for (const MaskedResult& result : results_)
      bytes += (result.words.size() + result.lowest.size()) * sizeof(std::uint32_t);
    return bytes;
  }

  bool can_be_kept(std::uint64_t round) const override { return round <= schedule_.first_flight() && !half_; }

  //   seeds, or the transfers they have made, [32 secret of the reverse base transfers, whose answer is
  //   awaited], results of the layers done
  void save(std::uint64_t round, StateWriter& out) const override {
    if (schedule_.has_made_transfers(round)) {
      prepared_.save(out);
    } else {
      seeds_.save(out);
    }
    if (round == 1) {
      Bytes secret;
      reverse_->save(secret);
      out.bytes(secret);
      OPENSSL_cleanse(secret.data(), secret.size());
    }
    save_results(results_, out);
  }

  void restore(std::uint64_t round, StateReader& in) override {
    if (round > schedule_.first_flight()) StateReader::reject("an online phase is not kept");
    if (round > schedule_.first_transfers() && round < schedule_.first_flight())
      StateReader::reject("transfers that are being made are not kept");
    if (schedule_.has_made_transfers(round)) {
      prepared_.restore(schedule_.transfers(), true, in);
    } else {
      seeds_.restore(in);
    }
    if (round == 1) reverse_ = std::make_unique<ot::BaseOwner>(in.bytes(ot::BaseOwner::kKeptBytes));
    results_ = restore_results(schedule_, in);
  }

  void observe(ClientEngine& client, Observer observer) override {
    opener_.emplace(network_.plan(), std::move(observer));
    const auto add = [this](std::size_t node, unsigned ring, const ShareTensor& share) {
      opener_->add(node, ring, share);
    };
    observer_ = add;
    dynamic_cast<SharesClient&>(client).observe(add);
  }

 private:
  /// Masks drawn here have never been used: the session answers a round once.
  void prepare(const SharesSchedule::Layers& layers, const paillier::CiphertextBatch& ciphertexts,
               Bytes& out) {
    std::size_t first = 0;
    for (std::size_t layer = layers.first; layer < layers.end; ++layer) {
      const std::size_t count = schedule_.layout(layer).inputs();
      results_[layer] =
          packed_->layer(layer).evaluate(evaluator_, ciphertexts.slice(first, count), out, rng_);
      first += count;
    }
  }

  void make_halves() {
    transfers_ = std::make_unique<TransferHalves>(transfer_source(network_.plan()), seeds_.chosen,
                                                  seeds_.offered, seeds_.nonce, true, rng_);
  }

  void begin_transfers() {
    make_halves();
    half_.emplace(transfers_->wire(), reserve_first(transfers_->party(), network_.plan()));
  }

  void keep_transfers() {
    if (!half_->finished())
      throw ot::FailedCheck("ot.flight_size",
                            "the transfers did not end with the last round that makes them");
    const TransferNeed& need = schedule_.transfers();
    prepared_ = {transfers_->release_sent(need.from_server), transfers_->release_received(need.from_client)};
    half_.reset();
    transfers_.reset();
  }

  void begin_online() {
    if (schedule_.transfers().none()) {
      make_halves();
    } else {
      transfers_ =
          std::make_unique<TransferHalves>(std::move(prepared_.sent), std::move(prepared_.received), true);
    }
    const auto prepared = [this](std::size_t node) {
      const auto& layers = schedule_.preparation().layers;
      const auto layer = std::ranges::find(layers, node, &PreparationPlan::Layer::node);
      return std::exchange(results_.at(static_cast<std::size_t>(layer - layers.begin())), {});
    };
    part_.emplace(ServerPart{network_.layers(), prepared, observer_});
    half_.emplace(transfers_->wire(), online_of_server(transfers_->party(), network_.plan(), *part_));
  }

  const SharesNetwork& network_;
  SharesSchedule schedule_;
  std::shared_ptr<const PackedNetwork> packed_;
  const paillier::Evaluator& evaluator_;
  Rng& rng_;
  std::vector<MaskedResult> results_;  ///< by layer
  PreparedSeeds seeds_;
  PreparedTransfers prepared_;
  std::optional<ot::BaseChooser> chooser_;
  std::unique_ptr<ot::BaseOwner> reverse_;
  std::unique_ptr<TransferHalves> transfers_;
  std::optional<ServerPart> part_;
  std::optional<ot::Half> half_;
  std::optional<ShareOpener> opener_;
  ShareObserver observer_;
  Bytes flight_;  ///< received last
  ServerPhases phases_;
};

}  // namespace

std::unique_ptr<ServerEngine> make_shares_server(const ServerParts& parts, const SharesNetwork& network,
                                                 ShareRounding rounding) {
  return std::make_unique<SharesServer>(parts, network, rounding);
}

}  // namespace popcorn::protocols::shares
