#include "protocols/ciphertext/steps/step_halves.h"

#include <utility>

#include "protocols/ciphertext/steps/relu_step.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/ciphertext/steps/sign_step.h"
#include "protocols/packing/draws.h"
#include "protocols/packing/slots.h"
#include "protocols/plan/phases.h"

namespace popcorn::protocols {

using paillier::CiphertextBatch;

bool has_shares(StepKind kind, const SignTest& sign_test) noexcept {
  return kind != StepKind::sign || sign_test.needs_shares();
}

std::uint64_t selection_ciphertexts(StepKind kind, std::uint64_t neurons) noexcept {
  return kind == StepKind::sign ? neurons : 2 * neurons;
}

ServerStep::ServerStep(const SignTest& sign_test, const paillier::Evaluator& evaluator, Rng& rng,
                       std::shared_ptr<const ot::KeptSetUp> set_up)
    : kind_of_test_(sign_test),
      evaluator_(evaluator),
      rng_(rng),
      sign_test_(sign_test.server(evaluator, rng, std::move(set_up))) {}

void ServerStep::request(ByteView section) {
  sign_test_->request(section);
}

void ServerStep::open(StepKind kind, const SignTestShape& shape, CiphertextBatch x) {
  std::vector<std::uint32_t> permutation;
  if (kind_of_test_.permutes()) {
    permutation = draw_permutation(rng_, x.size());
    x = x.gather(permutation);
  }
  kind_ = kind;
  bits_ = shape.bits;
  x_ = std::move(x);
  masks_ = {};
  permutation_ = std::move(permutation);
  sign_test_->begin(shape);
}

void ServerStep::question(unsigned exchange, Bytes& out) {
  if (exchange == 0 && has_shares(kind_, kind_of_test_)) {
    const PhaseTimer timer(seconds_.share);
    masks_ = seal_shares(evaluator_, x_, bits_, rng_, out);
  }
  const PhaseTimer timer(seconds_.test);
  sign_test_->question(exchange, {x_, masks_}, out);
}

void ServerStep::answer(unsigned exchange, ByteView section) {
  const PhaseTimer timer(seconds_.test);
  sign_test_->answer(exchange, section);
}

CiphertextBatch ServerStep::close(const CiphertextBatch& selection) {
  const PhaseTimer timer(seconds_.selection);
  const std::span<const std::uint8_t> flips = sign_test_->flips();
  CiphertextBatch result = kind_ == StepKind::sign
                               ? select_sign(evaluator_, flips, selection)
                               : select_relu(evaluator_, x_, masks_, mask_bits(bits_), flips, selection);
  if (!permutation_.empty()) result = result.gather(inverse_permutation(permutation_));
  x_ = {};
  masks_ = {};
  permutation_ = {};
  return result;
}

void ServerStep::save(unsigned exchange, StateWriter& out) const {
  out.ciphertexts(x_);
  out.integers(masks_);
  out.places(permutation_);
  sign_test_->save(exchange, out);
}

void ServerStep::restore(StepKind kind, const SignTestShape& shape, unsigned exchange, StateReader& in) {
  const auto count = static_cast<std::size_t>(shape.count);
  kind_ = kind;
  bits_ = shape.bits;
  x_ = in.ciphertexts(count);
  if (has_shares(kind, kind_of_test_)) masks_ = in.integers(count, mask_bits(bits_));
  if (kind_of_test_.permutes()) permutation_ = in.permutation(count);
  sign_test_->restore(shape, exchange, in);
}

ClientStep::ClientStep(const SignTest& sign_test, const paillier::KeyOwner& owner, Rng& rng,
                       std::shared_ptr<const ot::KeptSetUp> set_up)
    : kind_of_test_(sign_test), owner_(owner), sign_test_(sign_test.client(owner, rng, std::move(set_up))) {}

void ClientStep::question(StepKind kind, const SignTestShape& shape, unsigned exchange, WideVector packed,
                          ByteView section) {
  if (exchange > 0) {
    const PhaseTimer timer(seconds_.test);
    sign_test_->question(exchange, shares_, section);
    return;
  }
  WideVector opened;
  if (has_shares(kind, kind_of_test_)) {
    const PhaseTimer timer(seconds_.share);
    opened = open_packed(std::move(packed), share_layout(shape.bits, shape.key_bits),
                         static_cast<std::size_t>(shape.count));
  }
  const PhaseTimer timer(seconds_.test);
  sign_test_->begin(shape);
  sign_test_->question(exchange, opened, section);
  shares_ = std::move(opened);
}

void ClientStep::answer(unsigned exchange, Bytes& out) {
  const PhaseTimer timer(seconds_.test);
  sign_test_->answer(exchange, out);
}

void ClientStep::select(StepKind kind, Bytes& out) {
  const PhaseTimer timer(seconds_.selection);
  if (kind == StepKind::sign) {
    answer_sign(owner_, sign_test_->bits(), out);
  } else {
    answer_relu(owner_, shares_, sign_test_->bits(), out);
  }
}

//   where the step goes on: u16 words, shares; then what ClientSignTest::save() appends
void ClientStep::save(unsigned exchange, bool last, StateWriter& out) const {
  if (!last) {
    out.u16(static_cast<std::uint16_t>(shares_.limbs()));
    out.integers(shares_);
  }
  sign_test_->save(exchange, out);
}

void ClientStep::restore(const SignTestShape& shape, unsigned exchange, bool last, ot::SetUp set_up,
                         StateReader& in) {
  if (!last) {
    const std::size_t limbs = in.u16();
    if (limbs < 1 || limbs > WideVector::limbs_for_bits(shape.key_bits)) {
      StateReader::reject("its shares are wider than a plaintext");
    }
    ByteReader words(in.bytes(8 * limbs * static_cast<std::size_t>(shape.count)), "session_state");
    shares_ = WideVector(static_cast<std::size_t>(shape.count), limbs);
    for (std::uint64_t& word : shares_.words()) word = words.u64();
  }
  sign_test_->restore(shape, exchange, set_up, in);
}

}  // namespace popcorn::protocols
