#include "protocols/shares/shares_server.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "protocols/ot/sources/base_transfer.h"
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
        reverse_(rng_) {
    rng_.fill(nonce_);
  }
  ~SharesServer() override {
    for (MaskedResult& result : results_)
      OPENSSL_cleanse(result.words.data(), result.words.size() * sizeof(std::uint32_t));
    OPENSSL_cleanse(&chosen_, sizeof chosen_);
    OPENSSL_cleanse(&offered_, sizeof offered_);
  }

  const Schedule& schedule() const noexcept override { return schedule_; }

  void take(std::uint64_t round, ByteView section) override {
    if (round == 0) {
      chooser_.emplace(section);
    } else if (round == 1) {
      offered_ = reverse_.finish(nonce_, section);
    } else if (!schedule_.has_layer(round)) {
      flight_.assign(section.begin(), section.end());
    }
  }

  void answer(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) override {
    if (round == 0) {
      out.insert(out.end(), nonce_.begin(), nonce_.end());
      chosen_ = chooser_->reply(nonce_, rng_, out);
      reverse_.request(out);
    } else if (schedule_.has_layer(round)) {
      const PhaseTimer timer(phases_.linear);
      const std::size_t layer = schedule_.layer(round);
      // A mask drawn here has never been used: the session answers a round once.
      results_[layer] = packed_->layer(layer).evaluate(evaluator_, std::move(ciphertexts), out, rng_);
    } else {
      const PhaseTimer timer(phases_.step);
      if (!half_) begin_online();
      const Bytes flight = advance_or_fail(*half_, std::exchange(flight_, {}));
      out.insert(out.end(), flight.begin(), flight.end());
    }
  }

  ServerPhases phases() const noexcept override { return phases_; }

  std::size_t memory_bytes() const noexcept override {
    std::size_t bytes = transfers_ ? transfers_->memory_bytes() : 0;
    for (const MaskedResult& result : results_)
      bytes += (result.words.size() + result.lowest.size()) * sizeof(std::uint32_t);
    return bytes;
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
  void begin_online() {
    transfers_ = std::make_unique<TransferHalves>(transfer_source(network_.plan()), chosen_, offered_, nonce_,
                                                  true, rng_);
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
  std::array<std::uint8_t, SharesSchedule::kNonceBytes> nonce_{};
  std::optional<ot::BaseChooser> chooser_;
  ot::BaseOwner reverse_;
  ot::ChosenSeeds chosen_{};
  ot::OfferedSeeds offered_{};
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
