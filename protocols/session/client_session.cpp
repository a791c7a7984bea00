#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "protocols/engines.h"
#include "protocols/ot/failed_check.h"
#include "protocols/session/kept_options.h"
#include "protocols/session/session.h"
#include "protocols/wire/message_pieces.h"

namespace popcorn::protocols {

namespace {

/// Ciphertexts of an answer that are decrypted at once while the rest is awaited: enough for the cores of a
/// large machine.
constexpr std::size_t kDecryptTogether = 128;

/// What a model takes.
struct InputRange {
  explicit InputRange(const ClientBundle& bundle)
      : model(bundle.model),
        values(static_cast<std::size_t>(bundle.encoding.shape.size())),
        low(bundle.encoding.low),
        high(bundle.encoding.high) {}

  /// @throws InputError "input.size", "input.range"
  void check(const WideVector& input) const {
    if (input.size() != values) {
      throw InputError("input.size", "the input has " + std::to_string(input.size()) + " values, model \"" +
                                         model + "\" takes " + std::to_string(values));
    }
    for (std::size_t i = 0; i < input.size(); ++i) {
      if (!input.fits_int64(i) || input.to_int64(i) < low || input.to_int64(i) > high) {
        throw InputError("input.range", "input value " + std::to_string(i) + " is " + input.to_decimal(i) +
                                            ", model \"" + model + "\" takes " + std::to_string(low) +
                                            " to " + std::to_string(high));
      }
    }
  }

  std::string model;
  std::size_t values;
  std::int64_t low, high;
};

}  // namespace

struct ClientSession::State {
  State(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> key_owner, WideVector input,
        SessionOptions asked, bool resumes_set_up, Rng& rng)
      : config_id(bundle.config_id),
        range(bundle),
        options(std::move(asked)),
        has_input(input.size() > 0),
        owner(std::move(key_owner)),
        resumes(resumes_set_up && accepted_engine(bundle, options).uses_transfers(bundle, options)),
        engine(accepted_engine(bundle, options)
                   .client({bundle, owner, options, resumes_set_up, rng}, std::move(input))),
        schedule(engine->schedule()) {}

  const Sha256& key_name() const { return owner->public_key().fingerprint(); }

  bool waits() const noexcept { return round > 0 && message.empty(); }

  Bytes make_message(std::uint64_t number) const {
    MessageAddress address = schedule.client_address(number);
    address.key = key_name();
    MessageWriter writer(schedule.client_message(number), address);
    engine->message(number, writer.out());
    return writer.finish();
  }

  void expect_answer() const {
    if (check_failed) throw ot::FailedCheck("ot.check", "a check failed in an earlier round");
    if (failed) throw Error("session.failed", "the session ended with an internal error in an earlier round");
    if (finished) throw InputError("round.finished", "the inference is over; no further message is expected");
    if (waits())
      throw Error("session.input", "the preparation is over; give the input before the next answer");
    if (message.empty()) throw Error("round.not_started", "call start() before handle()");
  }

  double& phase_of(MessageKind kind) { return kind == MessageKind::logits ? phases.decrypt : phases.step; }

  /// Takes an answer that is the one due, its ciphertexts decrypted.
  std::optional<ByteView> proceed(MessageKind kind, WideVector plaintexts, ByteView section) {
    const PhaseTimer timer(phase_of(kind));
    try {
      engine->take(round, std::move(plaintexts), section);
    } catch (const ot::FailedCheck&) {
      failed = check_failed = true;
      throw;
    } catch (const InputError&) {  // found from public bytes: everything is as it was
      throw;
    } catch (...) {
      failed = true;
      throw;
    }
    if (round + 1 == schedule.rounds()) {
      finished = true;
      return std::nullopt;
    }
    if (!has_input && schedule.phase(round + 1) == Phase::online) {
      ++round;
      message.clear();
      return std::nullopt;
    }
    return go_to(round + 1);
  }

  ByteView go_to(std::uint64_t next) {
    try {
      message = make_message(next);
      round = next;
    } catch (...) {
      failed = true;
      throw;
    }
    return message;
  }

  /// What has come of an answer.
  struct Arriving {
    explicit Arriving(State& state)
        : pieces(state.schedule.server_message(state.round).bytes(), kDecryptTogether,
                 {[&state](const MessagePrefix& prefix) {
                    state.schedule.check_server(state.round, state.key_name(), prefix);
                  },
                  [&state, this](std::uint64_t first, ByteView ciphertexts) {
                    const MessageShape& shape = pieces.prefix().shape;
                    const PhaseTimer timer(state.phase_of(shape.kind));
                    const WideVector some = state.engine->decrypt(state.round, ciphertexts);
                    if (first == 0) {
                      plaintexts = WideVector(static_cast<std::size_t>(shape.ciphertexts), some.limbs());
                    }
                    const auto place = static_cast<std::ptrdiff_t>(first * some.limbs());
                    std::ranges::copy(some.words(), plaintexts.words().begin() + place);
                  }}) {}

    WideVector plaintexts;
    MessagePieces pieces;
  };

  std::string config_id;
  InputRange range;
  SessionOptions options;
  bool has_input;
  std::shared_ptr<const paillier::KeyOwner> owner;
  bool resumes;
  std::unique_ptr<ClientEngine> engine;
  const Schedule& schedule;
  Bytes message;  ///< given last
  ClientPhases phases;
  std::uint64_t round = 0;
  bool failed = false;
  bool check_failed = false;
  bool finished = false;
  std::unique_ptr<Arriving> arriving;
};

ClientSession::ClientSession(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> owner,
                             const WideVector& input, SessionOptions options, Rng& rng) {
  InputRange(bundle).check(input);
  const bool resumes = options.transfer_set_up != nullptr;
  state_ = std::make_unique<State>(bundle, std::move(owner), input, std::move(options), resumes, rng);
}

ClientSession::ClientSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

ClientSession::~ClientSession() = default;

std::unique_ptr<ClientSession> ClientSession::preparation(const ClientBundle& bundle,
                                                          std::shared_ptr<const paillier::KeyOwner> owner,
                                                          SessionOptions options, Rng& rng) {
  const bool resumes = options.transfer_set_up != nullptr;
  auto state =
      std::make_unique<State>(bundle, std::move(owner), WideVector(), std::move(options), resumes, rng);
  if (state->schedule.preparation_rounds() == 0) {
    throw RefusedError("session.preparation", "the engine \"" + state->options.engine +
                                                  "\" does nothing before it has the input; choose another");
  }
  return std::unique_ptr<ClientSession>(new ClientSession(std::move(state)));
}

bool ClientSession::awaits_input() const noexcept {
  return !state_->failed && state_->waits();
}

ByteView ClientSession::provide(const WideVector& input) {
  State& state = *state_;
  if (!awaits_input()) throw Error("session.input", "no input is awaited at this moment");
  state.range.check(input);
  const PhaseTimer timer(state.phases.step);
  state.engine->provide(input);
  state.has_input = true;
  return state.go_to(state.round);
}

const Bytes& ClientSession::start() {
  State& state = *state_;
  if (state.round > 0 || state.finished) {
    throw Error("round.repeated", "the session has left round 0; its first message is not kept");
  }
  if (state.message.empty()) {
    const PhaseTimer timer(state.phases.encrypt);
    state.message = state.make_message(0);
  }
  return state.message;
}

std::optional<ByteView> ClientSession::handle(ByteView message) {
  State& state = *state_;
  state.expect_answer();
  const Message got = state.schedule.expect_server(state.round, state.key_name(), message);
  WideVector plaintexts;
  {
    const PhaseTimer timer(state.phase_of(got.shape.kind));
    if (!got.ciphertexts.empty()) plaintexts = state.engine->decrypt(state.round, got.ciphertexts);
  }
  return state.proceed(got.shape.kind, std::move(plaintexts), got.sign_test);
}

void ClientSession::begin_answer() {
  state_->expect_answer();
  state_->arriving = std::make_unique<State::Arriving>(*state_);
}

void ClientSession::take_answer(ByteView piece) {
  if (!state_->arriving) throw Error("round.no_answer", "call begin_answer() before take_answer()");
  state_->arriving->pieces.take(piece);
}

std::optional<ByteView> ClientSession::finish_answer() {
  if (!state_->arriving) throw Error("round.no_answer", "call begin_answer() before finish_answer()");
  const std::unique_ptr<State::Arriving> arrived = std::move(state_->arriving);
  arrived->pieces.expect_end();
  return state_->proceed(arrived->pieces.prefix().shape.kind, std::move(arrived->plaintexts),
                         arrived->pieces.sign_test());
}

ClientEngine& ClientSession::engine() noexcept {
  return *state_->engine;
}
std::uint64_t ClientSession::round() const noexcept {
  return state_->round;
}
std::uint64_t ClientSession::preparation_rounds() const {
  return state_->schedule.preparation_rounds();
}

std::uint64_t ClientSession::rounds() const noexcept {
  return state_->schedule.rounds();
}
bool ClientSession::finished() const noexcept {
  return state_->finished;
}

std::string ClientSession::step_name() const {
  return state_->schedule.name_of(state_->round);
}

std::uint64_t ClientSession::encryptions() const {
  return state_->schedule.encryptions_from(1);
}

ClientPhases ClientSession::phases() const noexcept {
  return state_->phases;
}

const WideVector& ClientSession::logits() const {
  if (!state_->finished)
    throw Error("round.not_finished", "the inference is not over yet; there are no logits");
  return state_->engine->result();
}

std::shared_ptr<const ot::KeptSetUp> ClientSession::transfer_set_up() const {
  if (state_->check_failed) return nullptr;
  return state_->engine->transfer_set_up();
}

const Bytes& ClientSession::message() const noexcept {
  return state_->message;
}

namespace {

constexpr std::uint32_t kStateMagic = 0x53434350;  // "PCCS"

void write_section(StateWriter& out, ByteView bytes) {
  out.u64(bytes.size());
  out.bytes(bytes);
}

std::string read_text(StateReader& in) {
  const std::uint64_t size = in.u64();
  if (size > Limits::kNameBytes) StateReader::reject("a name is too long");
  const ByteView text = in.bytes(static_cast<std::size_t>(size));
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace

bool ClientSession::can_be_kept() const {
  return !state_->failed && !state_->finished && state_->round > 0 &&
         state_->engine->can_be_kept(state_->round);
}

//   u32 magic, u16 version, [text engine], text config_id, 32 key fingerprint, text sign test, text output,
//   u8 resumes a set-up, [u64 length, kept set-up] where the engine uses transfers, u64 round, u64 length,
//   message (empty: the input is awaited); then what ClientEngine::save() appends, and for an engine with a
//   preparation u8 has its input
Bytes ClientSession::save() const {
  const State& state = *state_;
  if (state.failed || state.finished) throw Error("session.over", "a session that is over cannot be kept");
  if (state.round == 0) throw Error("session.not_started", "a session is kept from its first answer on");
  if (!can_be_kept()) throw Error("session.not_kept", "this session cannot be kept at the moment");
  Bytes bytes;
  StateWriter out(bytes);
  out.u32(kStateMagic);
  out.u16(state_version(state.options));
  if (state_version(state.options) != kSessionStateVersion)
    write_section(out, as_bytes(state.options.engine));
  write_section(out, as_bytes(state.config_id));
  out.bytes(state.key_name());
  write_section(out, as_bytes(state.options.sign_test));
  write_section(out, as_bytes(state.options.output));
  out.u8(state.resumes ? 1 : 0);
  if (const auto set_up = state.engine->transfer_set_up()) {
    Bytes kept;
    set_up->serialise(kept);
    write_section(out, kept);
    OPENSSL_cleanse(kept.data(), kept.size());
  }
  out.u64(state.round);
  write_section(out, state.message);
  state.engine->save(state.round, out);
  if (state.schedule.preparation_rounds() > 0) out.u8(state.has_input ? 1 : 0);
  return bytes;
}

std::unique_ptr<ClientSession> ClientSession::restore(const ClientBundle& bundle,
                                                      std::shared_ptr<const paillier::KeyOwner> owner,
                                                      ByteView bytes, Rng& rng) {
  StateReader in(bytes);
  if (in.u32() != kStateMagic) StateReader::reject("it is none");
  SessionOptions options;
  if (has_engine_name(in.u16())) options.engine = kept_engine(read_text(in));
  if (read_text(in) != bundle.config_id) StateReader::reject("it belongs to another model");
  if (!std::ranges::equal(in.bytes(sizeof(Sha256)), owner->public_key().fingerprint())) {
    StateReader::reject("it belongs to another key");
  }
  options.sign_test = read_text(in);
  options.output = read_text(in);
  const bool resumes = in.flag();
  if (kept_engine_uses_transfers(bundle, options)) {
    const std::uint64_t size = in.u64();
    if (size > Limits::kBundleBytes) StateReader::reject("its set-up is too large");
    options.transfer_set_up = ot::client_set_up(in.bytes(static_cast<std::size_t>(size)));
  }
  auto state =
      std::make_unique<State>(bundle, std::move(owner), WideVector(), std::move(options), resumes, rng);
  state->round = in.u64();
  if (state->round == 0 || state->round >= state->schedule.rounds())
    StateReader::reject("it has no such round");
  const std::uint64_t length = in.u64();
  const std::uint64_t prepared = state->schedule.preparation_rounds();
  const bool waits = length == 0 && state->round == prepared;
  if (!waits && length != state->schedule.client_message(state->round).bytes()) {
    StateReader::reject("its message is not as long as its round's");
  }
  const ByteView message = in.bytes(static_cast<std::size_t>(length));
  state->message.assign(message.begin(), message.end());
  state->engine->restore(state->round, in);
  state->has_input = prepared == 0 || in.flag();
  if (waits && state->has_input) StateReader::reject("it has its input, and no message of it");
  in.expect_end();
  return std::unique_ptr<ClientSession>(new ClientSession(std::move(state)));
}

std::size_t ClientSession::max_message_bytes() const {
  return static_cast<std::size_t>(state_->schedule.server_message(state_->round).bytes());
}

}  // namespace popcorn::protocols
