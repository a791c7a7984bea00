#include "protocols/ciphertext/sign/blinded_sign_protocol.h"

#include <algorithm>

#include "protocols/packing/draws.h"
#include "protocols/packing/seal_cost.h"
#include "protocols/packing/slots.h"
#include "protocols/packing/wide_math.h"
#include "protocols/security.h"

namespace popcorn::protocols {

namespace {

static_assert(kBlindingBits == 128, "blinding factors are held in 128-bit integers");

/// t = τ·z + ε with z in [−2^ℓ, 2^ℓ) lies in [−2^(ℓ + κ), 2^(ℓ + κ)).
SlotLayout blinded_layout(const SignTestShape& shape) {
  return slot_layout(shape.bits + kBlindingBits + 1, shape.bits + kBlindingBits, shape.key_bits);
}

Blind draw_blind(Rng& rng) {
  const Blind high = rng.next_u64();
  return (high << 64) | rng.next_u64();
}

/// Sets x[i] to the signed difference a − b.
void set_difference(WideVector& x, std::size_t i, Blind a, Blind b) {
  const Blind difference = a - b;
  const std::uint64_t extension = 0 - static_cast<std::uint64_t>(a < b);
  const std::span<std::uint64_t> words = x[i];
  words[0] = static_cast<std::uint64_t>(difference);
  words[1] = static_cast<std::uint64_t>(difference >> 64);
  std::ranges::fill(words.subspan(2), extension);
}

void set_blind(WideVector& x, std::size_t i, Blind value) {
  set_difference(x, i, value, 0);
}

class Server final : public ServerSignTest {
 public:
  Server(const paillier::Evaluator& evaluator, Rng& rng) : evaluator_(evaluator), rng_(rng) {}

  void begin(const SignTestShape& shape) override {
    shape_ = shape;
    flips_.clear();
  }

  void question(unsigned /*exchange*/, const ServerNeurons& neurons, Bytes& out) override {
    const std::size_t count = neurons.x.size();
    flips_ = draw_bits(rng_, count);
    WideVector factors(count, WideVector::limbs_for_bits(kBlindingBits));
    const WideVector addends = draw_blinding(factors);
    // τ·(−1)^f·x; what is left of τ·z + ε is public arithmetic on plaintexts.
    const paillier::CiphertextBatch flipped =
        evaluator_.select(neurons.x, evaluator_.negate(neurons.x), flips_);
    const paillier::CiphertextBatch blinded = evaluator_.scalar_multiply(flipped, factors, kBlindingBits);
    seal_slots(evaluator_, blinded, blinded_layout(shape_), addends, out);
  }

  void answer(unsigned /*exchange*/, ByteView /*section*/) override {}

  std::span<const std::uint8_t> flips() const override { return flips_; }

  void save(unsigned /*exchange*/, StateWriter& out) const override { out.bytes(flips_); }
  void restore(const SignTestShape& shape, unsigned /*exchange*/, StateReader& in) override {
    begin(shape);
    flips_ = in.small_values(static_cast<std::size_t>(shape.count), 1);
  }

 private:
  /// Draws τ; returns ε − f·τ with the layout's offset.
  WideVector draw_blinding(WideVector& factors) {
    const SlotLayout layout = blinded_layout(shape_);
    BufferedRng rng(rng_);
    WideVector addends(factors.size(), WideVector::limbs_for_bits(layout.slot_bits));
    for (std::size_t i = 0; i < factors.size(); ++i) {
      const Blind factor = draw_blinding_factor(rng);
      const Blind noise = draw_below(rng, factor);
      set_blind(factors, i, factor);
      set_difference(addends, i, noise, factor & (Blind{0} - flips_[i]));
    }
    add_power_of_two(addends, layout.offset_bit);
    return addends;
  }

  const paillier::Evaluator& evaluator_;
  Rng& rng_;
  SignTestShape shape_;
  std::vector<std::uint8_t> flips_;
};

class Client final : public ClientSignTest {
 public:
  explicit Client(const paillier::KeyOwner& owner) : owner_(owner) {}

  void begin(const SignTestShape& shape) override {
    shape_ = shape;
    bits_.clear();
  }

  void question(unsigned /*exchange*/, const WideVector& /*shares*/, ByteView section) override {
    const WideVector blinded = open_slots(owner_, section, blinded_layout(shape_), shape_.count);
    std::vector<std::uint8_t> bits(blinded.size());
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = blinded.is_negative(i) ? 0 : 1;
    bits_ = std::move(bits);
  }

  void answer(unsigned /*exchange*/, Bytes& /*out*/) override {}

  std::span<const std::uint8_t> bits() const override { return bits_; }

  void save(unsigned /*exchange*/, StateWriter& /*out*/) const override {}  // the answer ends the test
  void restore(const SignTestShape& shape, unsigned /*exchange*/, ot::SetUp /*set_up*/,
               StateReader& /*in*/) override {
    begin(shape);
  }

 private:
  const paillier::KeyOwner& owner_;
  SignTestShape shape_;
  std::vector<std::uint8_t> bits_;
};

class Blinded final : public SignTest {
 public:
  std::string_view name() const noexcept override { return "blinded"; }
  unsigned exchanges(unsigned /*bits*/) const override { return 1; }
  bool needs_shares() const noexcept override { return false; }
  bool permutes() const noexcept override { return true; }
  unsigned plaintext_bits(unsigned bits) const override { return bits + kBlindingBits + 1; }

  std::size_t question_bytes(const SignTestShape& shape, unsigned /*exchange*/) const override {
    return blinded_layout(shape).ciphertexts(shape.count) * (shape.key_bits / 4);
  }
  std::size_t answer_bytes(const SignTestShape& /*shape*/, unsigned /*exchange*/) const override { return 0; }

  SignTestCost cost(const SignTestShape& shape) const override {
    const SlotLayout layout = blinded_layout(shape);
    SignTestCost cost;
    cost.multiplications = paillier::negate_cost(shape.count) +
                           paillier::scalar_multiply_cost(shape.count, kBlindingBits) +
                           seal_cost(shape.count, layout, shape.key_bits);
    cost.ciphertexts_down = layout.ciphertexts(shape.count);
    return cost;
  }

  SignTestMemory memory(const SignTestShape& shape) const override {
    const SlotLayout layout = blinded_layout(shape);
    const std::uint64_t packed = layout.ciphertexts(shape.count);
    const auto words = [](unsigned bits) { return WideVector::limbs_for_bits(bits) * sizeof(std::uint64_t); };
    const std::uint64_t plaintexts = packed * words(shape.key_bits) + shape.count * words(layout.slot_bits);
    // At the server flipped and blinded values, factors, flips, and what seals them.
    return {plaintexts + 2 * paillier::batch_bytes(shape.count, shape.key_bits) +
                2 * paillier::batch_bytes(packed, shape.key_bits) + shape.count * (words(kBlindingBits) + 2),
            plaintexts + shape.count};
  }

  std::unique_ptr<ServerSignTest> server(const paillier::Evaluator& evaluator, Rng& rng,
                                         std::shared_ptr<const ot::KeptSetUp> /*state*/) const override {
    return std::make_unique<Server>(evaluator, rng);
  }
  std::unique_ptr<ClientSignTest> client(const paillier::KeyOwner& owner, Rng& /*rng*/,
                                         std::shared_ptr<const ot::KeptSetUp> /*state*/) const override {
    return std::make_unique<Client>(owner);
  }
};

}  // namespace

const SignTest& blinded_sign_test() {
  static const Blinded test;
  return test;
}

Blind draw_below(Rng& rng, Blind bound) {
  // The smallest mask of the form 2^k − 1 that holds every value below the bound.
  Blind mask = bound - 1;
  for (unsigned shift = 1; shift < kBlindingBits; shift *= 2) mask |= mask >> shift;
  for (;;) {
    const Blind value = draw_blind(rng) & mask;
    if (value < bound) return value;
  }
}

Blind draw_blinding_factor(Rng& rng) {
  constexpr Blind kHalf = Blind{1} << (kBlindingBits - 1);
  const auto octave = static_cast<unsigned>(rng.below(kBlindingBits));
  const unsigned shift = kBlindingBits - 1 - octave;
  for (;;) {
    // Uniform in the octave, scaled to [2^127, 2^128); accepted with probability 2^127 / scaled.
    const Blind factor = (draw_blind(rng) | kHalf) >> shift;
    const Blind scaled = factor << shift;
    const Blind level = rng.next_u64();
    const Blind product = level * (scaled >> 64) + ((level * (scaled & ~std::uint64_t{0})) >> 64);
    if (product < kHalf) return factor;
  }
}

}  // namespace popcorn::protocols
