#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "protocols/message_pieces.h"
#include "protocols/ot/failed_check.h"
#include "protocols/relu_step.h"
#include "protocols/round_plan.h"
#include "protocols/session.h"
#include "protocols/session_options.h"
#include "protocols/session_state.h"
#include "protocols/share.h"
#include "protocols/sign_step.h"
#include "protocols/slots.h"

namespace popcorn::protocols {

namespace {

/// Ciphertexts of an answer that are decrypted at once while the rest is awaited: enough for the cores of a
/// large machine.
constexpr std::size_t kDecryptTogether = 128;

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
        const SessionOptions& options, bool resumes_set_up, Rng& rng)
      : config_id(bundle.config_id),
        output(options.output),
        owner(std::move(key_owner)),
        plan(bundle, accepted_sign_test(bundle, options), owner->public_key().bits(), resumes_set_up),
        sign_test(plan.sign_test().client(*owner, rng, options.sign_test_state)) {}

  const Sha256& key_name() const { return owner->public_key().fingerprint(); }

  MessageWriter writer(std::uint64_t number) const {
    MessageAddress address = plan.client_address(number);
    address.key = key_name();
    return {plan.client_message(number), address};
  }

  void expect_answer() const {
    if (check_failed) throw ot::FailedCheck("ot.check", "a check failed in an earlier round");
    if (failed) throw Error("session.failed", "the session ended with an internal error in an earlier round");
    if (finished) throw InputError("round.finished", "the inference is over; no further message is expected");
    if (message.empty()) throw Error("round.not_started", "call start() before handle()");
  }

  double& phase_of(MessageKind kind) { return kind == MessageKind::logits ? phases.decrypt : phases.step; }

  WideVector decrypt(ByteView ciphertexts) const {
    return owner->decrypt(ciphertexts, ciphertexts.size() / owner->public_key().ciphertext_bytes(),
                          packed_limbs(plan.key_bits()));
  }

  /// Takes shares and sign test of a question. Changes nothing but the sign test, and that only on success.
  /// @param packed the decrypted shares
  void take_question(const RoundPlan::Place& place, WideVector packed, ByteView section) {
    const Step& step = plan.steps()[place.step];
    if (place.exchange == 0) {
      WideVector opened;
      if (plan.has_shares(step)) {
        opened = open_packed(std::move(packed), share_layout(step.bits, plan.key_bits()),
                             static_cast<std::size_t>(step.count));
      }
      sign_test->begin(plan.sign_test_shape(place.step));
      sign_test->question(place.exchange, opened, section);
      shares = std::move(opened);
    } else {
      sign_test->question(place.exchange, shares, section);
    }
  }

  /// Takes an answer that is the one due, its ciphertexts decrypted.
  std::optional<ByteView> proceed(MessageKind kind, WideVector packed, ByteView section) {
    const PhaseTimer timer(phase_of(kind));
    try {
      if (kind == MessageKind::logits) {
        logits = open_packed(std::move(packed), logits_layout(plan.output_bits(), plan.key_bits()),
                             static_cast<std::size_t>(plan.outputs()));
        finished = true;
        return std::nullopt;
      }
      take_question(plan.place(round + 1), std::move(packed), section);
    } catch (const ot::FailedCheck&) {
      failed = check_failed = true;
      throw;
    } catch (const InputError&) {  // found from public bytes: everything is as it was
      throw;
    } catch (...) {
      failed = true;
      throw;
    }
    try {
      message = answer(round + 1);
      ++round;
    } catch (...) {
      failed = true;
      throw;
    }
    return ByteView(message);
  }

  /// What has come of an answer.
  struct Arriving {
    explicit Arriving(State& state)
        : pieces(state.plan.server_message(state.round).bytes(), kDecryptTogether,
                 {[&state, this](const MessagePrefix& prefix) {
                    state.plan.check_server(state.round, state.key_name(), prefix);
                    packed = WideVector(static_cast<std::size_t>(prefix.shape.ciphertexts),
                                        packed_limbs(state.plan.key_bits()));
                  },
                  [&state, this](std::uint64_t first, ByteView ciphertexts) {
                    const PhaseTimer timer(state.phase_of(pieces.prefix().shape.kind));
                    const WideVector some = state.decrypt(ciphertexts);
                    std::ranges::copy(some.words(), packed.words().begin() +
                                                        static_cast<std::ptrdiff_t>(first * packed.limbs()));
                  }}) {}

    WideVector packed;
    MessagePieces pieces;
  };

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

  std::string config_id, output;
  std::shared_ptr<const paillier::KeyOwner> owner;
  RoundPlan plan;
  std::unique_ptr<ClientSignTest> sign_test;
  WideVector input;
  WideVector shares;  ///< c of the step in progress
  Bytes message;      ///< given last
  ClientPhases phases;
  std::uint64_t round = 0;
  bool failed = false;
  bool check_failed = false;
  bool finished = false;
  WideVector logits;
  std::unique_ptr<Arriving> arriving;
};

ClientSession::ClientSession(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> owner,
                             const WideVector& input, SessionOptions options, Rng& rng)
    : state_(std::make_unique<State>(bundle, std::move(owner), options, options.sign_test_state != nullptr,
                                     rng)) {
  check_input(bundle, input);
  state_->input = input;
}

ClientSession::ClientSession(std::unique_ptr<State> state) : state_(std::move(state)) {}

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
  state.expect_answer();
  const Message got = state.plan.expect_server(state.round, state.key_name(), message);
  WideVector packed;
  {
    const PhaseTimer timer(state.phase_of(got.shape.kind));
    packed = state.decrypt(got.ciphertexts);
  }
  return state.proceed(got.shape.kind, std::move(packed), got.sign_test);
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
  return state_->proceed(arrived->pieces.prefix().shape.kind, std::move(arrived->packed),
                         arrived->pieces.sign_test());
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
  if (state_->check_failed) return nullptr;
  return state_->sign_test->state();
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

//   u32 magic, u16 version, text config_id, 32 key fingerprint, text sign test, text output,
//   u8 resumes a set-up, [u64 length, kept set-up] where the test has one, u64 round, [u64 length, message],
//   where the step goes on: u16 words, shares; then what ClientSignTest::save() appends
Bytes ClientSession::save() const {
  const State& state = *state_;
  if (state.failed || state.finished) throw Error("session.over", "a session that is over cannot be kept");
  if (state.round == 0) throw Error("session.not_started", "a session is kept from its first answer on");
  Bytes bytes;
  StateWriter out(bytes);
  out.u32(kStateMagic);
  out.u16(kSessionStateVersion);
  write_section(out, as_bytes(state.config_id));
  out.bytes(state.key_name());
  write_section(out, as_bytes(state.plan.sign_test().name()));
  write_section(out, as_bytes(state.output));
  out.u8(state.plan.set_up() == SetUp::resumed ? 1 : 0);
  if (state.plan.set_up() != SetUp::done) {
    Bytes kept;
    state.sign_test->state()->serialise(kept);
    write_section(out, kept);
    OPENSSL_cleanse(kept.data(), kept.size());
  }
  out.u64(state.round);
  write_section(out, state.message);
  const RoundPlan::Place& place = state.plan.place(state.round);
  if (!place.last) {
    out.u16(static_cast<std::uint16_t>(state.shares.limbs()));
    out.integers(state.shares);
  }
  state.sign_test->save(place.exchange, out);
  return bytes;
}

std::unique_ptr<ClientSession> ClientSession::restore(const ClientBundle& bundle,
                                                      std::shared_ptr<const paillier::KeyOwner> owner,
                                                      ByteView bytes, Rng& rng) {
  StateReader in(bytes);
  if (in.u32() != kStateMagic || in.u16() != kSessionStateVersion) {
    StateReader::reject("it is not one, or of another version of this program");
  }
  if (read_text(in) != bundle.config_id) StateReader::reject("it belongs to another model");
  if (!std::ranges::equal(in.bytes(sizeof(Sha256)), owner->public_key().fingerprint())) {
    StateReader::reject("it belongs to another key");
  }
  SessionOptions options;
  options.sign_test = read_text(in);
  options.output = read_text(in);
  const bool resumes = in.flag();
  const SignTest& sign_test = kept_sign_test(bundle, options);
  const SetUp set_up = sign_test.set_up(resumes);
  if (set_up != SetUp::done && !bundle.steps.empty()) {
    const std::uint64_t size = in.u64();
    if (size > Limits::kBundleBytes) StateReader::reject("its set-up is too large");
    options.sign_test_state = sign_test.client_state(in.bytes(static_cast<std::size_t>(size)));
  }
  auto state = std::make_unique<State>(bundle, std::move(owner), options, resumes, rng);
  state->round = in.u64();
  if (state->round == 0 || state->round >= state->plan.rounds()) StateReader::reject("it has no such round");
  const std::uint64_t length = in.u64();
  if (length != state->plan.client_message(state->round).bytes()) {
    StateReader::reject("its message is not as long as its round's");
  }
  const ByteView message = in.bytes(static_cast<std::size_t>(length));
  state->message.assign(message.begin(), message.end());
  const RoundPlan::Place& place = state->plan.place(state->round);
  const SignTestShape shape = state->plan.sign_test_shape(place.step);
  if (!place.last) {
    const std::size_t limbs = in.u16();
    if (limbs < 1 || limbs > WideVector::limbs_for_bits(state->plan.key_bits())) {
      StateReader::reject("its shares are wider than a plaintext");
    }
    ByteReader words(in.bytes(8 * limbs * static_cast<std::size_t>(shape.count)), "session_state");
    state->shares = WideVector(static_cast<std::size_t>(shape.count), limbs);
    for (std::uint64_t& word : state->shares.words()) word = words.u64();
  }
  state->sign_test->restore(shape, place.exchange, set_up, in);
  in.expect_end();
  return std::unique_ptr<ClientSession>(new ClientSession(std::move(state)));
}

std::size_t ClientSession::max_message_bytes() const {
  return static_cast<std::size_t>(state_->plan.server_message(state_->round).bytes());
}

}  // namespace popcorn::protocols
