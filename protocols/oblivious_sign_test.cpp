#include "protocols/oblivious_sign_test.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <type_traits>

#include "base/error.h"
#include "protocols/comparison.h"
#include "protocols/draws.h"
#include "protocols/ot/base_transfer.h"
#include "protocols/wide_math.h"

namespace popcorn::protocols {

namespace {

constexpr std::size_t kNonceBytes = 16;
using Nonce = std::array<std::uint8_t, kNonceBytes>;

/// 1 were seeds of base transfers on Paillier, which a client could read the choices of: forgotten.
constexpr std::uint8_t kStateVersion = 2;
/// So that a party's state is never taken for the other's.
template <typename Seeds>
inline constexpr std::uint8_t kSide = std::is_same_v<Seeds, ot::SenderSeeds> ? 1 : 2;

/// Of one session: the client's nonce (in a resumed session only; a full set-up draws new seeds) and the
/// server's.
Bytes session_nonce(const SetUp set_up, const Nonce& client, const Nonce& server) {
  Bytes nonce;
  if (set_up == SetUp::resumed) nonce.assign(client.begin(), client.end());
  nonce.insert(nonce.end(), server.begin(), server.end());
  return nonce;
}

/// The kept seeds of one side; named by the nonce of the session that made them.
template <typename Seeds>
class KeptSeeds final : public SignTestState {
 public:
  KeptSeeds(const Nonce& id, const Seeds& seeds) : id_(id), seeds_(seeds) {}
  ~KeptSeeds() override { OPENSSL_cleanse(&seeds_, sizeof seeds_); }
  ByteView id() const noexcept override { return id_; }
  const Seeds& seeds() const noexcept { return seeds_; }

  void serialise(Bytes& out) const override {
    out.reserve(out.size() + kBytes);
    ByteWriter writer(out);
    writer.u8(kStateVersion);
    writer.u8(kSide<Seeds>);
    writer.bytes(id_);
    writer.bytes({reinterpret_cast<const std::uint8_t*>(&seeds_), sizeof seeds_});
  }

  /// @throws InputError "sign_test.state"
  static std::shared_ptr<const KeptSeeds> parse(ByteView bytes) {
    if (bytes.size() != kBytes || bytes[0] != kStateVersion || bytes[1] != kSide<Seeds>) {
      throw InputError("sign_test.state", "this is not the kept set-up of an oblivious sign test");
    }
    Nonce id;
    Seeds seeds;
    std::ranges::copy(bytes.subspan(2, kNonceBytes), id.begin());
    std::memcpy(&seeds, bytes.data() + 2 + kNonceBytes, sizeof seeds);
    const auto kept = std::make_shared<const KeptSeeds>(id, seeds);
    OPENSSL_cleanse(&seeds, sizeof seeds);
    if constexpr (std::is_same_v<Seeds, ot::SenderSeeds>) {
      const auto is_no_bit = [](std::uint8_t choice) { return choice > 1; };
      if (std::ranges::any_of(kept->seeds().choices, is_no_bit)) {
        throw InputError("sign_test.state", "a kept set-up has choices other than 0 and 1");
      }
    }
    return kept;
  }

  static constexpr std::size_t kBytes = 2 + kNonceBytes + sizeof(Seeds);

 private:
  Nonce id_;
  Seeds seeds_;
};
using KeptSenderSeeds = KeptSeeds<ot::SenderSeeds>;
using KeptReceiverSeeds = KeptSeeds<ot::ReceiverSeeds>;

template <typename Kept>
std::shared_ptr<const Kept> as_kept(std::shared_ptr<const SignTestState> state) {
  auto kept = std::dynamic_pointer_cast<const Kept>(state);
  if (state != nullptr && kept == nullptr)
    throw Error("sign_test.state", "a state of another sign test was given");
  return kept;
}

ComparisonShape comparison_shape(const SignTestShape& shape) {
  return {shape.count, shape.bits};
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
  ObliviousServer(Rng& rng, std::shared_ptr<const SignTestState> state)
      : rng_(rng),
        kept_(as_kept<KeptSenderSeeds>(std::move(state))),
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
    less_.clear();
  }

  void question(unsigned exchange, const ServerNeurons& neurons, Bytes& out) override {
    if (exchange == 0) {
      if (shape_.set_up != SetUp::done) out.insert(out.end(), nonce_.begin(), nonce_.end());
      if (shape_.set_up == SetUp::full) {
        auto seeds = chooser_->reply(nonce_, rng_, out);
        kept_ = std::make_shared<const KeptSenderSeeds>(nonce_, seeds);
        OPENSSL_cleanse(&seeds, sizeof seeds);
      }
      if (shape_.set_up != SetUp::done) start_extension();
      comparison_.emplace(comparison_shape(shape_), neurons.masks);
      flips_ = bit_of(neurons.masks, shape_.bits);
      return;
    }
    comparison_->answer(exchange - 1, *extension_, rng_, out);
    if (exchange == comparison_shape(shape_).batches()) xor_into(flips_, comparison_->less());
  }

  void answer(unsigned exchange, ByteView section) override {
    const ComparisonShape comparison = comparison_shape(shape_);
    if (exchange < comparison.batches()) extension_->take_request(section, comparison.transfers(exchange));
    checked_ = true;
  }

  std::span<const std::uint8_t> flips() const override { return flips_; }
  /// A new set-up is worth keeping once a request made with it has passed its check.
  std::shared_ptr<const SignTestState> state() const override {
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
    out.u64(extension_->position().blocks);
    out.u64(extension_->position().transfers);
    out.bytes(flips_);
    comparison_->save(exchange, out);
  }

  void restore(const SignTestShape& shape, unsigned exchange, StateReader& in) override {
    begin(shape);
    std::ranges::copy(in.bytes(kNonceBytes), nonce_.begin());
    std::ranges::copy(in.bytes(kNonceBytes), client_nonce_.begin());
    if (set_up_ == SetUp::full) {
      kept_ = KeptSenderSeeds::parse(in.bytes(KeptSenderSeeds::kBytes));
      checked_ = in.flag();
      // The first answer is the first that is checked.
      const bool waits_for_first = shape.set_up == SetUp::full && exchange == 0;
      if (checked_ == waits_for_first) StateReader::reject("the set-up is not where the round is");
    }
    ot::ExtensionPosition position;
    position.blocks = in.u64();
    position.transfers = in.u64();
    start_extension(position);
    flips_ = in.small_values(static_cast<std::size_t>(shape.count), 1);
    comparison_.emplace(ComparisonSender::restore(comparison_shape(shape), exchange, in));
  }

 private:
  void start_extension(ot::ExtensionPosition position = {}) {
    extension_.emplace(kept_->seeds(), session_nonce(set_up_, client_nonce_, nonce_), position);
  }

  BufferedRng rng_;
  Nonce nonce_{};
  Nonce client_nonce_{};  ///< of a resumed session
  std::shared_ptr<const KeptSenderSeeds> kept_;
  SetUp set_up_;          ///< of the session
  bool checked_ = false;  ///< whether a request has passed its check
  std::optional<ot::BaseChooser> chooser_;
  std::optional<ot::ExtensionSender> extension_;
  SignTestShape shape_;
  std::optional<ComparisonSender> comparison_;
  std::vector<std::uint8_t> less_;
  std::vector<std::uint8_t> flips_;
};

class ObliviousClient final : public ClientSignTest {
 public:
  ObliviousClient(Rng& rng, std::shared_ptr<const SignTestState> state)
      : rng_(rng), kept_(as_kept<KeptReceiverSeeds>(std::move(state))) {}

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
      comparison_.emplace(comparison_shape(shape_), shifted);
      return;
    }
    comparison_->receive(exchange - 1, *extension_, section);
    if (exchange == comparison_shape(shape_).batches()) xor_into(bits_, comparison_->less());
  }

  void answer(unsigned exchange, Bytes& out) override {
    if (exchange < comparison_shape(shape_).batches()) comparison_->request(exchange, *extension_, out);
  }

  std::span<const std::uint8_t> bits() const override { return bits_; }
  std::shared_ptr<const SignTestState> state() const override { return kept_; }

  void save(unsigned exchange, StateWriter& out) const override {
    out.bytes(own_nonce_);
    out.bytes(server_nonce_);
    out.u64(extension_->position().blocks);
    out.u64(extension_->position().transfers);
    if (exchange == comparison_shape(shape_).batches()) return;  // the answer has ended the test
    out.bytes(bits_);
    comparison_->save(exchange, out);
  }

  void restore(const SignTestShape& shape, unsigned exchange, SetUp set_up, StateReader& in) override {
    begin(shape);
    std::ranges::copy(in.bytes(kNonceBytes), own_nonce_.begin());
    std::ranges::copy(in.bytes(kNonceBytes), server_nonce_.begin());
    ot::ExtensionPosition position;
    position.blocks = in.u64();
    position.transfers = in.u64();
    extension_.emplace(kept_->seeds(), session_nonce(set_up, own_nonce_, server_nonce_), position);
    if (exchange == comparison_shape(shape).batches()) return;
    bits_ = in.small_values(static_cast<std::size_t>(shape.count), 1);
    comparison_ = ComparisonReceiver::restore(comparison_shape(shape), exchange, in);
    Bytes sent;  // already: only what is kept until the transfers come is wanted
    comparison_->request(exchange, *extension_, sent);
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
    extension_.emplace(kept_->seeds(), session_nonce(shape_.set_up, own_nonce_, server_nonce_));
  }

  Rng& rng_;
  Nonce own_nonce_{};  ///< of a resumed session
  Nonce server_nonce_{};
  std::shared_ptr<const KeptReceiverSeeds> kept_;
  std::optional<ot::BaseOwner> base_;
  std::optional<ot::ExtensionReceiver> extension_;
  SignTestShape shape_;
  std::optional<ComparisonReceiver> comparison_;
  std::vector<std::uint8_t> bits_;
};

class ObliviousSignTest final : public SignTest {
 public:
  std::string_view name() const noexcept override { return "oblivious"; }
  unsigned exchanges(unsigned bits) const override { return ComparisonShape{0, bits}.batches() + 1; }
  bool needs_shares() const noexcept override { return true; }
  bool permutes() const noexcept override { return false; }
  unsigned plaintext_bits(unsigned /*bits*/) const override { return 0; }

  std::size_t question_bytes(const SignTestShape& shape, unsigned exchange) const override {
    if (exchange > 0) return comparison_shape(shape).answer_bytes(exchange - 1);
    if (shape.set_up == SetUp::done) return 0;
    if (shape.set_up == SetUp::resumed) return kNonceBytes;
    return kNonceBytes + ot::kBaseReplyBytes;
  }

  std::size_t answer_bytes(const SignTestShape& shape, unsigned exchange) const override {
    const ComparisonShape comparison = comparison_shape(shape);
    return exchange < comparison.batches() ? comparison.request_bytes(exchange) : 0;
  }

  SignTestCost cost(const SignTestShape& /*shape*/) const override { return {}; }

  SignTestMemory memory(const SignTestShape& shape) const override {
    // A transfer: its digit, its row and the columns it is transposed from, its messages or choices.
    constexpr std::uint64_t kTransferBytes = sizeof(ot::Block) + ot::kCodeBits / 8 + 16;
    // Of the extension; the receiver has two of each.
    constexpr std::uint64_t kStreamBytes = 256;
    const ComparisonShape comparison = comparison_shape(shape);
    const std::uint64_t transfers = comparison.transfers(0) * kTransferBytes + shape.count * 2;
    // Columns of whole blocks, and the transfers of the check.
    constexpr std::uint64_t kPaddingBytes = 3 * ot::kCodeBits * 3 * sizeof(ot::Block);
    return {transfers + ot::kCodeBits * kStreamBytes + kPaddingBytes,
            transfers + 2 * ot::kCodeBits * kStreamBytes + kPaddingBytes};
  }

  SetUp set_up(bool has_state) const noexcept override { return has_state ? SetUp::resumed : SetUp::full; }

  std::size_t request_bytes(unsigned /*key_bits*/, SetUp set_up) const override {
    if (set_up == SetUp::done) return 0;
    return set_up == SetUp::full ? ot::kBaseRequestBytes : kNonceBytes;
  }

  std::unique_ptr<ServerSignTest> server(const paillier::Evaluator& /*evaluator*/, Rng& rng,
                                         std::shared_ptr<const SignTestState> state) const override {
    return std::make_unique<ObliviousServer>(rng, std::move(state));
  }
  std::unique_ptr<ClientSignTest> client(const paillier::KeyOwner& /*owner*/, Rng& rng,
                                         std::shared_ptr<const SignTestState> state) const override {
    return std::make_unique<ObliviousClient>(rng, std::move(state));
  }
  std::shared_ptr<const SignTestState> server_state(ByteView bytes) const override {
    return KeptSenderSeeds::parse(bytes);
  }
  std::shared_ptr<const SignTestState> client_state(ByteView bytes) const override {
    return KeptReceiverSeeds::parse(bytes);
  }
};

}  // namespace

const SignTest& oblivious_sign_test() {
  static const ObliviousSignTest test;
  return test;
}

}  // namespace popcorn::protocols
