#include "base/error.h"
#include "protocols/relu_step.h"
#include "protocols/round_plan.h"
#include "protocols/session.h"
#include "protocols/session_options.h"
#include "protocols/share.h"
#include "protocols/sign_step.h"
#include "protocols/slots.h"

namespace popcorn::protocols {

namespace {

void check_input(const ClientBundle& bundle, const WideVector& input) {
  const auto expected = static_cast<std::size_t>(bundle.encoding.shape.size());
  if (input.size() != expected) {
    throw InputError("input.size", "the input has " + std::to_string(input.size()) + " values, model \"" +
                                       bundle.model + "\" takes " + std::to_string(expected));
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (!input.fits_int64(i) || input.to_int64(i) < bundle.encoding.low ||
        input.to_int64(i) > bundle.encoding.high) {
      throw InputError("input.range", "input value " + std::to_string(i) + " is " + input.to_decimal(i) +
                                          ", model \"" + bundle.model + "\" takes " +
                                          std::to_string(bundle.encoding.low) + " to " +
                                          std::to_string(bundle.encoding.high));
    }
  }
}

}  // namespace

struct ClientSession::State {
  State(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> key_owner,
        const WideVector& values, const SessionOptions& options, Rng& rng)
      : owner(std::move(key_owner)),
        plan(bundle, accepted_sign_test(bundle, options), owner->public_key().bits(),
             options.sign_test_state != nullptr),
        sign_test(plan.sign_test().client(*owner, rng, options.sign_test_state)),
        input(values) {
    check_input(bundle, input);
  }

  const Sha256& key_name() const { return owner->public_key().fingerprint(); }

  MessageWriter writer(std::uint64_t number) const {
    MessageAddress address = plan.client_address(number);
    address.key = key_name();
    return {plan.client_message(number), address};
  }

  /// Takes shares and sign test of a question. Changes nothing but the sign test, and that only on success.
  void take_question(const RoundPlan::Place& place, const Message& question) {
    const Step& step = plan.steps()[place.step];
    if (place.exchange == 0) {
      WideVector opened;
      if (plan.has_shares(step)) {
        opened = open_shares(*owner, question.ciphertexts, static_cast<std::size_t>(step.count), step.bits);
      }
      sign_test->begin(plan.sign_test_shape(place.step));
      sign_test->question(place.exchange, opened, question.sign_test);
      shares = std::move(opened);
    } else {
      sign_test->question(place.exchange, shares, question.sign_test);
    }
  }

  Bytes answer(std::uint64_t number) {
    const RoundPlan::Place& place = plan.place(number);
    const Step& step = plan.steps()[place.step];
    MessageWriter message_writer = writer(number);
    sign_test->answer(place.exchange, message_writer.out());
    if (place.last && step.kind == StepKind::sign)
      answer_sign(*owner, sign_test->bits(), message_writer.out());
    if (place.last && step.kind != StepKind::sign) {
      answer_relu(*owner, shares, sign_test->bits(), message_writer.out());
    }
    return message_writer.finish();
  }

  std::shared_ptr<const paillier::KeyOwner> owner;
  RoundPlan plan;
  std::unique_ptr<ClientSignTest> sign_test;
  WideVector input;
  WideVector shares;  ///< c of the step in progress
  Bytes message;      ///< given last
  ClientPhases phases;
  std::uint64_t round = 0;
  bool failed = false;
  bool finished = false;
  WideVector logits;
};

ClientSession::ClientSession(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> owner,
                             const WideVector& input, SessionOptions options, Rng& rng)
    : state_(std::make_unique<State>(bundle, std::move(owner), input, options, rng)) {}

ClientSession::~ClientSession() = default;

const Bytes& ClientSession::start() {
  State& state = *state_;
  if (state.round > 0 || state.finished) {
    throw Error("round.repeated", "the session has left round 0; its input message is not kept");
  }
  if (state.message.empty()) {
    MessageWriter writer = state.writer(0);
    const PhaseTimer timer(state.phases.encrypt);
    state.owner->encrypt(state.input, writer.out());
    if (state.plan.set_up() != SetUp::done) state.sign_test->request(writer.out());
    state.message = writer.finish();
  }
  return state.message;
}

std::optional<ByteView> ClientSession::handle(ByteView message) {
  State& state = *state_;
  if (state.failed)
    throw Error("session.failed", "the session ended with an internal error in an earlier round");
  if (state.finished)
    throw InputError("round.finished", "the inference is over; no further message is expected");
  if (state.message.empty()) throw Error("round.not_started", "call start() before handle()");
  const Message got = state.plan.expect_server(state.round, state.key_name(), message);
  if (got.shape.kind == MessageKind::logits) {
    const PhaseTimer timer(state.phases.decrypt);
    state.logits = open_slots(*state.owner, got.ciphertexts,
                              logits_layout(state.plan.output_bits(), state.plan.key_bits()),
                              static_cast<std::size_t>(state.plan.outputs()));
    state.finished = true;
    return std::nullopt;
  }
  const PhaseTimer timer(state.phases.step);
  try {
    state.take_question(state.plan.place(state.round + 1), got);
  } catch (const InputError&) {  // the message's fault: everything is as it was
    throw;
  } catch (...) {
    state.failed = true;
    throw;
  }
  try {
    state.message = state.answer(state.round + 1);
    ++state.round;
  } catch (...) {
    state.failed = true;
    throw;
  }
  return ByteView(state.message);
}

std::uint64_t ClientSession::round() const noexcept {
  return state_->round;
}
std::uint64_t ClientSession::rounds() const noexcept {
  return state_->plan.rounds();
}
bool ClientSession::finished() const noexcept {
  return state_->finished;
}

std::string ClientSession::step_name() const {
  return state_->round == 0 ? "input" : state_->plan.step_name(state_->plan.place(state_->round).step);
}

ClientPhases ClientSession::phases() const noexcept {
  return state_->phases;
}

const WideVector& ClientSession::logits() const {
  if (!state_->finished)
    throw Error("round.not_finished", "the inference is not over yet; there are no logits");
  return state_->logits;
}

std::shared_ptr<const SignTestState> ClientSession::sign_test_state() const {
  return state_->sign_test->state();
}

std::size_t ClientSession::max_message_bytes() const {
  return static_cast<std::size_t>(state_->plan.server_message(state_->round).bytes());
}

}  // namespace popcorn::protocols
