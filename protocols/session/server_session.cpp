#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "protocols/engines.h"
#include "protocols/ot/failed_check.h"
#include "protocols/session/kept_options.h"
#include "protocols/session/message_intake.h"
#include "protocols/session/session.h"

namespace popcorn::protocols {

struct ServerSession::State {
  State(std::shared_ptr<const ServedModel> served, std::shared_ptr<const paillier::PublicContext> context,
        SessionOptions asked, Rng& rng)
      : model(std::move(served)),
        key(std::move(context)),
        options(std::move(asked)),
        evaluator(key, rng),
        resumes(options.transfer_set_up != nullptr &&
                accepted_engine(model->bundle(), options).uses_transfers(model->bundle(), options)),
        engine(make_engine(rng)),
        schedule(engine->schedule()) {}

  std::unique_ptr<ServerEngine> make_engine(Rng& rng) const {
    const Engine& chosen = accepted_engine(model->bundle(), options);
    return chosen.server({model->prepared(chosen.name()), model->bundle(), key, evaluator, options, rng});
  }

  const Sha256& key_name() const { return key->key().fingerprint(); }

  void expect_message() const {
    if (check_failed) throw ot::FailedCheck("ot.check", "a check failed in an earlier round");
    if (failed) throw Error("session.failed", "the session ended with an internal error in an earlier round");
    if (round == schedule.rounds())
      throw InputError("round.finished", "the inference is over; no further message is expected");
  }

  /// Answers a message that is the one due and whose ciphertexts are valid.
  Bytes answer(ByteView section, paillier::CiphertextBatch ciphertexts) {
    try {
      engine->take(round, section);
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
      Bytes reply = compute(std::move(ciphertexts));
      ++round;
      return reply;
    } catch (const ot::FailedCheck&) {
      failed = check_failed = true;
      throw;
    } catch (...) {
      failed = true;
      throw;
    }
  }

  Bytes compute(paillier::CiphertextBatch ciphertexts) {
    MessageAddress address = schedule.server_address(round);
    address.key = key_name();
    MessageWriter writer(schedule.server_message(round), address);
    engine->answer(round, std::move(ciphertexts), writer.out());
    return writer.finish();
  }

  std::shared_ptr<const ServedModel> model;
  std::shared_ptr<const paillier::PublicContext> key;
  SessionOptions options;
  paillier::Evaluator evaluator;
  bool resumes;
  std::unique_ptr<ServerEngine> engine;
  const Schedule& schedule;
  double parse_seconds = 0;
  paillier::OperationCounts taken_in;  ///< by intakes
  std::uint64_t round = 0;
  bool failed = false;
  bool check_failed = false;
};

ServerSession::ServerSession(std::shared_ptr<const ServedModel> model,
                             std::shared_ptr<const paillier::PublicContext> key, SessionOptions options,
                             Rng& rng)
    : ServerSession(std::make_unique<State>(std::move(model), std::move(key), std::move(options), rng)) {}

ServerSession::ServerSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

ServerSession::~ServerSession() = default;

Bytes ServerSession::handle(ByteView message) {
  State& state = *state_;
  state.expect_message();
  const Message got = state.schedule.expect_client(state.round, state.key_name(), message);
  paillier::CiphertextBatch ciphertexts;
  {
    const PhaseTimer timer(state.parse_seconds);
    ciphertexts = state.evaluator.parse(got.ciphertexts, static_cast<std::size_t>(got.shape.ciphertexts));
  }
  return state.answer(got.sign_test, std::move(ciphertexts));
}

Bytes ServerSession::handle(MessageIntake& message) {
  State& state = *state_;
  state.expect_message();
  if (message.key() != state.key->key()) throw Error("message.key", "an intake for another key was given");
  state.taken_in += message.counts();
  state.parse_seconds += message.seconds();
  state.schedule.check_client(state.round, state.key_name(), message.prefix());
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
  return state_->schedule.rounds();
}
bool ServerSession::finished() const noexcept {
  return state_->round == state_->schedule.rounds();
}

std::size_t ServerSession::max_message_bytes(std::uint64_t round) const {
  if (round >= rounds()) {
    throw InputError("round.finished", "the inference has " + std::to_string(rounds()) +
                                           " rounds, there is no round " + std::to_string(round));
  }
  return static_cast<std::size_t>(state_->schedule.client_message(round).bytes());
}

std::uint64_t ServerSession::rerandomisations() const {
  return state_->schedule.rerandomisations();
}

paillier::OperationCounts ServerSession::counts() const {
  paillier::OperationCounts counts = state_->evaluator.counts();
  counts += state_->taken_in;
  return counts;
}
std::shared_ptr<const ot::KeptSetUp> ServerSession::transfer_set_up() const {
  if (state_->check_failed) return nullptr;
  return state_->engine->transfer_set_up();
}
ServerPhases ServerSession::phases() const noexcept {
  ServerPhases phases = state_->engine->phases();
  phases.parse += state_->parse_seconds;
  return phases;
}
std::size_t ServerSession::memory_bytes() const noexcept {
  return state_->engine->memory_bytes();
}
std::uint64_t ServerSession::preparation_rounds() const {
  return state_->schedule.preparation_rounds();
}
void ServerSession::observe(ClientSession& client, Observer observer) {
  state_->engine->observe(client.engine(), std::move(observer));
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

bool ServerSession::can_be_kept() const {
  return !state_->failed && !finished() && state_->engine->can_be_kept(state_->round);
}

//   u32 magic, u16 version, [text engine], text config_id, 32 key fingerprint, text sign test, text output,
//   u8 resumed [u32 length, kept set-up] where resumed, u64 round, then what ServerEngine::save() appends
Bytes ServerSession::save() const {
  const State& state = *state_;
  if (state.failed || finished()) throw Error("session.over", "a session that is over cannot be kept");
  if (!can_be_kept()) throw Error("session.not_kept", "this session cannot be kept at the moment");
  Bytes bytes;
  StateWriter out(state.evaluator, bytes);
  out.u32(kStateMagic);
  out.u16(state_version(state.options));
  if (state_version(state.options) != kSessionStateVersion) write_text(out, state.options.engine);
  write_text(out, state.model->bundle().config_id);
  out.bytes(state.key_name());
  write_text(out, state.options.sign_test);
  write_text(out, state.options.output);
  out.u8(state.resumes ? 1 : 0);
  if (state.resumes) {
    Bytes kept;
    state.options.transfer_set_up->serialise(kept);
    out.u32(static_cast<std::uint32_t>(kept.size()));
    out.bytes(kept);
    OPENSSL_cleanse(kept.data(), kept.size());
  }
  out.u64(state.round);
  state.engine->save(state.round, out);
  return bytes;
}

std::unique_ptr<ServerSession> ServerSession::restore(std::shared_ptr<const ServedModel> model,
                                                      std::shared_ptr<const paillier::PublicContext> key,
                                                      ByteView bytes, Rng& rng) {
  const paillier::Evaluator evaluator(key, rng);
  StateReader in(evaluator, bytes);
  if (in.u32() != kStateMagic) StateReader::reject("it is none");
  SessionOptions options;
  if (has_engine_name(in.u16())) options.engine = kept_engine(read_text(in));
  if (read_text(in) != model->bundle().config_id) StateReader::reject("it belongs to another model");
  if (!std::ranges::equal(in.bytes(sizeof(Sha256)), key->key().fingerprint())) {
    StateReader::reject("it belongs to another key");
  }
  options.sign_test = read_text(in);
  options.output = read_text(in);
  const bool resumed = in.flag();
  const bool uses_transfers = kept_engine_uses_transfers(model->bundle(), options);
  if (resumed && !uses_transfers) StateReader::reject("it resumes a set-up of which it has no use");
  if (resumed) options.transfer_set_up = ot::server_set_up(in.bytes(in.u32()));
  auto state = std::make_unique<State>(std::move(model), std::move(key), std::move(options), rng);
  state->round = in.u64();
  if (state->round >= state->schedule.rounds()) StateReader::reject("it has no such round");
  state->engine->restore(state->round, in);
  in.expect_end();
  return std::unique_ptr<ServerSession>(new ServerSession(std::move(state)));
}

}  // namespace popcorn::protocols
