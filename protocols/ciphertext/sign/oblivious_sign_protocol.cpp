#include "protocols/ciphertext/sign/oblivious_sign_protocol.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "protocols/ciphertext/sign/comparison.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/ot/steps/transfer_session.h"
#include "protocols/packing/draws.h"
#include "protocols/packing/wide_math.h"

namespace popcorn::protocols {

namespace {

constexpr std::size_t kNonceBytes = ot::kSetUpNonceBytes;
using Nonce = ot::SetUpNonce;
using ot::KeptReceiverSeeds;
using ot::KeptSenderSeeds;
using ot::SetUp;

/// Of one session: the client's nonce (in a resumed session only; a full set-up draws new seeds) and the
/// server's.
Bytes session_nonce(const SetUp set_up, const Nonce& client, const Nonce& server) {
  Bytes nonce;
  if (set_up == SetUp::resumed) nonce.assign(client.begin(), client.end());
  nonce.insert(nonce.end(), server.begin(), server.end());
  return nonce;
}

using Shapes = std::vector<ot::TableShape>;

/// Flight 2e is in answer e, flight 2e − 1 in question e; the last answer may have none.
bool has_flight(const ComparisonPlan& plan, unsigned flight) {
  return flight < plan.flights();
}

std::size_t flight_bytes(const SignTestShape& shape, unsigned flight) {
  const ComparisonPlan plan(shape.bits);
  if (!has_flight(plan, flight)) return 0;
  ot::FlightSetUp set_up = ot::FlightSetUp::none;
  if (shape.set_up != SetUp::done && flight == 0) set_up = ot::FlightSetUp::of_client;
  if (shape.set_up != SetUp::done && flight == 1) set_up = ot::FlightSetUp::of_server;
  const auto count = static_cast<std::size_t>(shape.count);
  return ot::flight_bytes(set_up, plan.answers(count, flight), plan.requests(count, flight));
}

void make_flight(unsigned flight, Comparison& comparison, ot::TransferSession& transfers, Rng& rng,
                 Bytes& out) {
  comparison.take(flight, transfers.answer(comparison.tables(flight), rng, out));
  transfers.request(comparison.choices(flight), out);
}

void take_flight(unsigned flight, const SignTestShape& shape, Comparison& comparison,
                 ot::TransferSession& transfers, ByteView section) {
  const auto count = static_cast<std::size_t>(shape.count);
  comparison.take(flight, transfers.take(section, ComparisonPlan(shape.bits).requests(count, flight)));
}

/// Bit `bit` of every value, in two's complement.
std::vector<std::uint8_t> bit_of(const WideVector& values, unsigned bit) {
  std::vector<std::uint8_t> bits(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto words = values[i];
    const std::uint64_t word = bit / 64 < words.size() ? words[bit / 64] : 0 - (words.back() >> 63);
    bits[i] = static_cast<std::uint8_t>((word >> (bit % 64)) & 1U);
  }
  return bits;
}

void xor_into(std::vector<std::uint8_t>& bits, const std::vector<std::uint8_t>& other) {
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>(bits[i] ^ other[i]);
}

class ObliviousServer final : public ServerSignTest {
 public:
  ObliviousServer(Rng& rng, std::shared_ptr<const ot::KeptSetUp> state)
      : rng_(rng),
        kept_(ot::as_kept<KeptSenderSeeds>(std::move(state))),
        set_up_(kept_ == nullptr ? SetUp::full : SetUp::resumed) {
    rng.fill(nonce_);
  }

  void request(ByteView section) override {
    if (set_up_ == SetUp::full) {
      chooser_.emplace(section);
    } else {
      std::ranges::copy(section, client_nonce_.begin());
    }
  }

  void begin(const SignTestShape& shape) override {
    shape_ = shape;
    comparison_.reset();
  }

  void question(unsigned exchange, const ServerNeurons& neurons, Bytes& out) override {
    if (exchange == 0) {
      if (shape_.set_up != SetUp::done) out.insert(out.end(), nonce_.begin(), nonce_.end());
      if (shape_.set_up == SetUp::full) {
        auto seeds = chooser_->reply(nonce_, rng_, out);
        kept_ = std::make_shared<const KeptSenderSeeds>(nonce_, seeds);
        OPENSSL_cleanse(&seeds, sizeof seeds);
      }
      if (shape_.set_up != SetUp::done) start_transfers();
      comparison_.emplace(Comparison::Party::server, shape_.bits, neurons.masks);
      flips_ = bit_of(neurons.masks, shape_.bits);
      return;
    }
    const unsigned flight = 2 * exchange - 1;
    make_flight(flight, *comparison_, *transfers_, rng_, out);
    end_after(flight);
  }

  void answer(unsigned exchange, ByteView section) override {
    const unsigned flight = 2 * exchange;
    if (!has_flight(ComparisonPlan(shape_.bits), flight)) return;
    take_flight(flight, shape_, *comparison_, *transfers_, section);
    checked_ = true;
    end_after(flight);
  }

  std::span<const std::uint8_t> flips() const override { return flips_; }
  /// A new set-up is worth keeping once a request made with it has passed its check.
  std::shared_ptr<const ot::KeptSetUp> state() const override {
    return set_up_ == SetUp::resumed || checked_ ? kept_ : nullptr;
  }

  void save(unsigned exchange, StateWriter& out) const override {
    out.bytes(nonce_);
    out.bytes(client_nonce_);
    if (set_up_ == SetUp::full) {
      Bytes kept;
      kept_->serialise(kept);
      out.bytes(kept);
      OPENSSL_cleanse(kept.data(), kept.size());
      out.u8(checked_ ? 1 : 0);
    }
    transfers_->save(out);
    out.bytes(flips_);
    if (has_flight(ComparisonPlan(shape_.bits), 2 * exchange)) comparison_->save(2 * exchange, out);
  }

  void restore(const SignTestShape& shape, unsigned exchange, StateReader& in) override {
    begin(shape);
    std::ranges::copy(in.bytes(kNonceBytes), nonce_.begin());
    std::ranges::copy(in.bytes(kNonceBytes), client_nonce_.begin());
    if (set_up_ == SetUp::full) {
      kept_ = ot::server_set_up(in.bytes(KeptSenderSeeds::kBytes));
      checked_ = in.flag();
      // The first answer is the first that is checked.
      const bool waits_for_first = shape.set_up == SetUp::full && exchange == 0;
      if (checked_ == waits_for_first) StateReader::reject("the set-up is not where the round is");
    }
    start_transfers();
    transfers_->restore(shape.set_up == SetUp::done || exchange > 0, in);
    flips_ = in.small_values(static_cast<std::size_t>(shape.count), 1);
    const unsigned awaited = 2 * exchange;
    if (!has_flight(ComparisonPlan(shape.bits), awaited)) return;
    comparison_ = Comparison::restore(Comparison::Party::server, shape.bits, flips_.size(), awaited, in);
    if (awaited > 0) transfers_->repeat_request(comparison_->choices(awaited - 1));
  }

 private:
  void start_transfers() {
    transfers_.emplace(kept_->seeds(), session_nonce(set_up_, client_nonce_, nonce_));
  }
  void end_after(unsigned flight) {
    if (!has_flight(ComparisonPlan(shape_.bits), flight + 1)) xor_into(flips_, comparison_->less());
  }

  BufferedRng rng_;
  Nonce nonce_{};
  Nonce client_nonce_{};  ///< of a resumed session
  std::shared_ptr<const KeptSenderSeeds> kept_;
  SetUp set_up_;          ///< of the session
  bool checked_ = false;  ///< whether a request has passed its check
  std::optional<ot::BaseChooser> chooser_;
  std::optional<ot::TransferSession> transfers_;
  SignTestShape shape_;
  std::optional<Comparison> comparison_;
  std::vector<std::uint8_t> flips_;
};

class ObliviousClient final : public ClientSignTest {
 public:
  ObliviousClient(Rng& rng, std::shared_ptr<const ot::KeptSetUp> state)
      : rng_(rng), kept_(ot::as_kept<KeptReceiverSeeds>(std::move(state))) {}

  void request(Bytes& out) override {
    if (kept_ != nullptr) {
      rng_.fill(own_nonce_);
      out.insert(out.end(), own_nonce_.begin(), own_nonce_.end());
      return;
    }
    base_.emplace(rng_);
    base_->request(out);
  }

  void begin(const SignTestShape& shape) override {
    shape_ = shape;
    comparison_.reset();
  }

  void question(unsigned exchange, const WideVector& shares, ByteView section) override {
    if (exchange == 0) {
      take_set_up(section);
      // c' = c + 2^ℓ; bit ℓ and the bits below it are all that matters.
      WideVector shifted =
          shares.resized(std::max(shares.limbs(), WideVector::limbs_for_bits(shape_.bits + 1)));
      add_power_of_two(shifted, shape_.bits);
      bits_ = bit_of(shifted, shape_.bits);
      comparison_.emplace(Comparison::Party::client, shape_.bits, shifted);
    } else {
      take_flight(2 * exchange - 1, shape_, *comparison_, *transfers_, section);
    }
    // With its own last flight the comparison ends, so that is made before it is asked for.
    const ComparisonPlan plan(shape_.bits);
    flight_.clear();
    if (has_flight(plan, 2 * exchange)) make_flight(2 * exchange, *comparison_, *transfers_, rng_, flight_);
    if (exchange + 1 == plan.exchanges()) xor_into(bits_, comparison_->less());
  }

  void answer(unsigned /*exchange*/, Bytes& out) override {
    out.insert(out.end(), flight_.begin(), flight_.end());
  }

  std::span<const std::uint8_t> bits() const override { return bits_; }
  std::shared_ptr<const ot::KeptSetUp> state() const override { return kept_; }

  void save(unsigned exchange, StateWriter& out) const override {
    out.bytes(own_nonce_);
    out.bytes(server_nonce_);
    transfers_->save(out);
    if (!has_flight(ComparisonPlan(shape_.bits), 2 * exchange + 1)) return;  // the answer has ended the test
    out.bytes(bits_);
    comparison_->save(2 * exchange + 1, out);
  }

  void restore(const SignTestShape& shape, unsigned exchange, SetUp set_up, StateReader& in) override {
    begin(shape);
    std::ranges::copy(in.bytes(kNonceBytes), own_nonce_.begin());
    std::ranges::copy(in.bytes(kNonceBytes), server_nonce_.begin());
    transfers_.emplace(kept_->seeds(), session_nonce(set_up, own_nonce_, server_nonce_));
    transfers_->restore(shape.set_up == SetUp::done || exchange > 0, in);
    const unsigned awaited = 2 * exchange + 1;
    if (!has_flight(ComparisonPlan(shape.bits), awaited)) return;
    bits_ = in.small_values(static_cast<std::size_t>(shape.count), 1);
    comparison_ = Comparison::restore(Comparison::Party::client, shape.bits, bits_.size(), awaited, in);
    transfers_->repeat_request(comparison_->choices(awaited - 1));
  }

 private:
  void take_set_up(ByteView section) {
    if (shape_.set_up == SetUp::done) return;
    std::ranges::copy(section.first(kNonceBytes), server_nonce_.begin());
    if (shape_.set_up == SetUp::full) {
      auto seeds = base_->finish(server_nonce_, section.subspan(kNonceBytes));
      kept_ = std::make_shared<const KeptReceiverSeeds>(server_nonce_, seeds);
      OPENSSL_cleanse(&seeds, sizeof seeds);
    }
    transfers_.emplace(kept_->seeds(), session_nonce(shape_.set_up, own_nonce_, server_nonce_));
  }

  Rng& rng_;
  Nonce own_nonce_{};  ///< of a resumed session
  Nonce server_nonce_{};
  std::shared_ptr<const KeptReceiverSeeds> kept_;
  std::optional<ot::BaseOwner> base_;
  std::optional<ot::TransferSession> transfers_;
  SignTestShape shape_;
  std::optional<Comparison> comparison_;
  Bytes flight_;  ///< of the answer
  std::vector<std::uint8_t> bits_;
};

class ObliviousSignTest final : public SignTest {
 public:
  std::string_view name() const noexcept override { return "oblivious"; }
  unsigned exchanges(unsigned bits) const override { return ComparisonPlan(bits).exchanges(); }
  bool needs_shares() const noexcept override { return true; }
  bool permutes() const noexcept override { return false; }
  unsigned plaintext_bits(unsigned /*bits*/) const override { return 0; }

  std::size_t question_bytes(const SignTestShape& shape, unsigned exchange) const override {
    if (exchange > 0) return flight_bytes(shape, 2 * exchange - 1);
    if (shape.set_up == SetUp::done) return 0;
    if (shape.set_up == SetUp::resumed) return kNonceBytes;
    return kNonceBytes + ot::kBaseReplyBytes;
  }

  std::size_t answer_bytes(const SignTestShape& shape, unsigned exchange) const override {
    return flight_bytes(shape, 2 * exchange);
  }

  SignTestCost cost(const SignTestShape& /*shape*/) const override { return {}; }

  SignTestMemory memory(const SignTestShape& shape) const override {
    // A transfer: its row and its choice. Of one piece of an extension: what outlives its columns. Measured,
    // see tests/memory.
    constexpr std::uint64_t kTransferBytes = sizeof(ot::Block) + 1;
    constexpr std::uint64_t kPieceBytes = sizeof(ot::Block);
    constexpr std::uint64_t kPiece = ot::softspoken::kMaxGroups * ot::kBaseTransfers;
    // A table: its choice or its entries, masks and shares, with copies.
    constexpr std::uint64_t kTableBytes = 5 * sizeof(std::uint32_t);
    // Streams' seeds and trees of both directions, work on one piece of an extension, groups that are not
    // full.
    constexpr std::uint64_t kFixedBytes = 192 * 1024;
    const ComparisonPlan plan(shape.bits);
    const auto count = static_cast<std::size_t>(shape.count);
    std::size_t transfers = 0;
    for (unsigned flight = 0; flight < plan.flights(); ++flight) {
      std::size_t asked = 0;
      for (const ot::TableShape& tables : plan.requests(count, flight)) asked += tables.transfers();
      transfers = std::max(transfers, asked);
    }
    const std::uint64_t bytes = transfers * kTransferBytes +
                                std::min<std::uint64_t>(transfers, kPiece) * kPieceBytes +
                                shape.count * (plan.digits().size() * kTableBytes + 2) + kFixedBytes;
    return {bytes, bytes};
  }

  SetUp set_up(bool has_state) const noexcept override { return has_state ? SetUp::resumed : SetUp::full; }

  std::size_t request_bytes(unsigned /*key_bits*/, SetUp set_up) const override {
    if (set_up == SetUp::done) return 0;
    return set_up == SetUp::full ? ot::kBaseRequestBytes : kNonceBytes;
  }

  std::unique_ptr<ServerSignTest> server(const paillier::Evaluator& /*evaluator*/, Rng& rng,
                                         std::shared_ptr<const ot::KeptSetUp> state) const override {
    return std::make_unique<ObliviousServer>(rng, std::move(state));
  }
  std::unique_ptr<ClientSignTest> client(const paillier::KeyOwner& /*owner*/, Rng& rng,
                                         std::shared_ptr<const ot::KeptSetUp> state) const override {
    return std::make_unique<ObliviousClient>(rng, std::move(state));
  }
};

}  // namespace

const SignTest& oblivious_sign_test() {
  static const ObliviousSignTest test;
  return test;
}

}  // namespace popcorn::protocols
