#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "protocols/message_intake.h"
#include "protocols/network_run.h"
#include "protocols/ot/failed_check.h"
#include "protocols/session.h"
#include "protocols/session_options.h"
#include "protocols/session_state.h"

namespace popcorn::protocols {

struct ServerSession::State {
  State(std::shared_ptr<const ServedModel> served, std::shared_ptr<const paillier::PublicContext> context,
        const SessionOptions& options, Rng& rng)
      : model(std::move(served)),
        key(std::move(context)),
        output(options.output),
        evaluator(key, rng),
        plan(model->bundle(), accepted_sign_test(model->bundle(), options), key->key().bits(),
             options.sign_test_state != nullptr),
        run(model->parts(), plan, evaluator, rng, options.sign_test_state) {
    check_plaintext_space(model->network(), model->parts().steps, plan.key_bits(), plan.sign_test());
  }

  const Sha256& key_name() const { return key->key().fingerprint(); }

  void expect_message() const {
    if (check_failed) throw ot::FailedCheck("ot.check", "a check failed in an earlier round");
    if (failed) throw Error("session.failed", "the session ended with an internal error in an earlier round");
    if (round == plan.rounds())
      throw InputError("round.finished", "the inference is over; no further message is expected");
  }

  /// Answers a message that is the one due and whose ciphertexts are valid.
  Bytes answer(ByteView sign_test, paillier::CiphertextBatch ciphertexts) {
    try {
      const PhaseTimer timer(phases.step);
      take_sign_test(round, sign_test);
    } catch (const ot::FailedCheck&) {  // what was refused may depend on secrets: nothing more is answered
      failed = check_failed = true;
      throw;
    } catch (const InputError&) {  // found from public bytes: everything is as it was
      throw;
    } catch (...) {
      failed = true;
      throw;
    }
    try {
      Bytes reply = compute(round, std::move(ciphertexts));
      ++round;
      return reply;
    } catch (...) {
      failed = true;
      throw;
    }
  }

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
      const paillier::CiphertextBatch selection = std::move(ciphertexts);  // not needed in what follows
      run.close_step(selection);
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
  std::string output;
  paillier::Evaluator evaluator;
  RoundPlan plan;
  NetworkRun run;
  ServerPhases phases;
  paillier::OperationCounts taken_in;  ///< by intakes
  std::uint64_t round = 0;
  bool failed = false;
  bool check_failed = false;
};

ServerSession::ServerSession(std::shared_ptr<const ServedModel> model,
                             std::shared_ptr<const paillier::PublicContext> key, SessionOptions options,
                             Rng& rng)
    : ServerSession(std::make_unique<State>(std::move(model), std::move(key), options, rng)) {}

ServerSession::ServerSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

ServerSession::~ServerSession() = default;

Bytes ServerSession::handle(ByteView message) {
  State& state = *state_;
  state.expect_message();
  const Message got = state.plan.expect_client(state.round, state.key_name(), message);
  paillier::CiphertextBatch ciphertexts;
  {
    const PhaseTimer timer(state.phases.parse);
    ciphertexts = state.evaluator.parse(got.ciphertexts, static_cast<std::size_t>(got.shape.ciphertexts));
  }
  return state.answer(got.sign_test, std::move(ciphertexts));
}

Bytes ServerSession::handle(MessageIntake& message) {
  State& state = *state_;
  state.expect_message();
  if (message.key() != state.key->key()) throw Error("message.key", "an intake for another key was given");
  state.taken_in += message.counts();
  state.phases.parse += message.seconds();
  state.plan.check_client(state.round, state.key_name(), message.prefix());
  MessageIntake::Result got = message.take_result();
  return state.answer(got.sign_test, std::move(got.ciphertexts));
}

const std::shared_ptr<const paillier::PublicContext>& ServerSession::key() const noexcept {
  return state_->key;
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
  paillier::OperationCounts counts = state_->evaluator.counts();
  counts += state_->taken_in;
  return counts;
}
std::shared_ptr<const SignTestState> ServerSession::sign_test_state() const {
  if (state_->check_failed) return nullptr;
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

namespace {

constexpr std::uint32_t kStateMagic = 0x53534350;  // "PCSS"

void write_text(StateWriter& out, const std::string& text) {
  out.u16(static_cast<std::uint16_t>(text.size()));
  out.bytes(as_bytes(text));
}

std::string read_text(StateReader& in) {
  const std::size_t size = in.u16();
  if (size > Limits::kNameBytes) StateReader::reject("a name is too long");
  const ByteView text = in.bytes(size);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace

//   u32 magic, u16 version, text config_id, 32 key fingerprint, text sign test, text output, u8 resumed
//   [u32 length, kept set-up] where resumed, u64 round, and from round 1 on what NetworkRun::save() appends
Bytes ServerSession::save() const {
  const State& state = *state_;
  if (state.failed || finished()) throw Error("session.over", "a session that is over cannot be kept");
  Bytes bytes;
  StateWriter out(state.evaluator, bytes);
  out.u32(kStateMagic);
  out.u16(kSessionStateVersion);
  write_text(out, state.model->bundle().config_id);
  out.bytes(state.key_name());
  write_text(out, std::string(state.plan.sign_test().name()));
  write_text(out, state.output);
  const bool resumed = state.plan.set_up() == SetUp::resumed;
  out.u8(resumed ? 1 : 0);
  if (resumed) {
    Bytes kept;
    state.run.sign_test_state()->serialise(kept);
    out.u32(static_cast<std::uint32_t>(kept.size()));
    out.bytes(kept);
    OPENSSL_cleanse(kept.data(), kept.size());
  }
  out.u64(state.round);
  if (state.round > 0) state.run.save(state.round, out);
  return bytes;
}

std::unique_ptr<ServerSession> ServerSession::restore(std::shared_ptr<const ServedModel> model,
                                                      std::shared_ptr<const paillier::PublicContext> key,
                                                      ByteView bytes, Rng& rng) {
  const paillier::Evaluator evaluator(key, rng);
  StateReader in(evaluator, bytes);
  if (in.u32() != kStateMagic || in.u16() != kSessionStateVersion) {
    StateReader::reject("it is not one, or of another version of this program");
  }
  if (read_text(in) != model->bundle().config_id) StateReader::reject("it belongs to another model");
  if (!std::ranges::equal(in.bytes(sizeof(Sha256)), key->key().fingerprint())) {
    StateReader::reject("it belongs to another key");
  }
  SessionOptions options;
  options.sign_test = read_text(in);
  options.output = read_text(in);
  const bool resumed = in.flag();
  const SignTest& sign_test = kept_sign_test(model->bundle(), options);
  if (resumed) options.sign_test_state = sign_test.server_state(in.bytes(in.u32()));
  auto state = std::make_unique<State>(std::move(model), std::move(key), options, rng);
  state->round = in.u64();
  if (state->round >= state->plan.rounds()) StateReader::reject("it has no such round");
  if (state->round > 0) state->run.restore(state->round, in);
  in.expect_end();
  return std::unique_ptr<ServerSession>(new ServerSession(std::move(state)));
}

}  // namespace popcorn::protocols
