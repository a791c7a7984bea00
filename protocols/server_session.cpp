#include "base/error.h"
#include "protocols/network_run.h"
#include "protocols/session.h"
#include "protocols/session_options.h"

namespace popcorn::protocols {

struct ServerSession::State {
  State(std::shared_ptr<const ServedModel> served, std::shared_ptr<const paillier::PublicContext> context,
        const SessionOptions& options, Rng& rng)
      : model(std::move(served)),
        key(std::move(context)),
        evaluator(key, rng),
        plan(model->bundle(), accepted_sign_test(model->bundle(), options), key->key().bits(),
             options.sign_test_state != nullptr),
        run(model->parts(), plan, evaluator, rng, options.sign_test_state) {
    check_plaintext_space(model->network(), model->parts().steps, plan.key_bits(), plan.sign_test());
  }

  const Sha256& key_name() const { return key->key().fingerprint(); }

  void take_sign_test(std::uint64_t answered, ByteView section) {
    if (answered > 0) {
      run.answer(plan.place(answered).exchange, section);
    } else if (plan.set_up() != SetUp::done) {
      run.request(section);
    }
  }

  /// What a valid message changes. Whatever fails here is no fault of the message.
  Bytes compute(std::uint64_t answered, paillier::CiphertextBatch ciphertexts) {
    const double linear_before = run.linear_seconds();
    double seconds = 0;
    Bytes reply;
    bool asked = false;
    {
      const PhaseTimer timer(seconds);
      reply = compute_reply(answered, std::move(ciphertexts), asked);
    }
    const double linear = run.linear_seconds() - linear_before;
    phases.linear += linear;
    (asked ? phases.step : phases.output) += seconds - linear;
    return reply;
  }

  Bytes compute_reply(std::uint64_t answered, paillier::CiphertextBatch ciphertexts, bool& asked) {
    if (answered == 0) {
      run.set_input(std::move(ciphertexts));
    } else if (plan.place(answered).last) {
      run.close_step(ciphertexts);
    }
    const bool step_goes_on = answered > 0 && !plan.place(answered).last;
    asked = step_goes_on || run.advance();
    MessageAddress address = plan.server_address(answered);
    address.key = key_name();
    MessageWriter writer(plan.server_message(answered), address);
    if (asked) {
      run.question(address.exchange, writer.out());
    } else {
      run.append_output(writer.out());
    }
    return writer.finish();
  }

  std::shared_ptr<const ServedModel> model;
  std::shared_ptr<const paillier::PublicContext> key;
  paillier::Evaluator evaluator;
  RoundPlan plan;
  NetworkRun run;
  ServerPhases phases;
  std::uint64_t round = 0;
  bool failed = false;
};

ServerSession::ServerSession(std::shared_ptr<const ServedModel> model,
                             std::shared_ptr<const paillier::PublicContext> key, SessionOptions options,
                             Rng& rng)
    : state_(std::make_unique<State>(std::move(model), std::move(key), options, rng)) {}

ServerSession::~ServerSession() = default;

Bytes ServerSession::handle(ByteView message) {
  State& state = *state_;
  if (state.failed)
    throw Error("session.failed", "the session ended with an internal error in an earlier round");
  if (finished()) throw InputError("round.finished", "the inference is over; no further message is expected");
  const std::uint64_t round = state.round;
  const Message got = state.plan.expect_client(round, state.key_name(), message);
  paillier::CiphertextBatch ciphertexts;
  {
    const PhaseTimer timer(state.phases.parse);
    ciphertexts = state.evaluator.parse(got.ciphertexts, static_cast<std::size_t>(got.shape.ciphertexts));
  }
  try {
    const PhaseTimer timer(state.phases.step);
    state.take_sign_test(round, got.sign_test);
  } catch (const InputError&) {  // the message's fault: everything is as it was
    throw;
  } catch (...) {
    state.failed = true;
    throw;
  }
  try {
    Bytes reply = state.compute(round, std::move(ciphertexts));
    ++state.round;
    return reply;
  } catch (...) {
    state.failed = true;
    throw;
  }
}

std::uint64_t ServerSession::next_round() const noexcept {
  return state_->round;
}
std::uint64_t ServerSession::rounds() const noexcept {
  return state_->plan.rounds();
}
bool ServerSession::finished() const noexcept {
  return state_->round == state_->plan.rounds();
}

std::size_t ServerSession::max_message_bytes(std::uint64_t round) const {
  if (round >= rounds()) {
    throw InputError("round.finished", "the inference has " + std::to_string(rounds()) +
                                           " rounds, there is no round " + std::to_string(round));
  }
  return static_cast<std::size_t>(state_->plan.client_message(round).bytes());
}

paillier::OperationCounts ServerSession::counts() const {
  return state_->evaluator.counts();
}
std::shared_ptr<const SignTestState> ServerSession::sign_test_state() const {
  return state_->run.sign_test_state();
}
ServerPhases ServerSession::phases() const noexcept {
  return state_->phases;
}
std::size_t ServerSession::memory_bytes() const noexcept {
  return state_->run.memory_bytes();
}
void ServerSession::observe(Observer observer) {
  state_->run.observe(std::move(observer));
}

}  // namespace popcorn::protocols
