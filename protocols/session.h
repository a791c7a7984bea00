// The two parties of one inference as state machines without I/O: bytes in, bytes out.
//
//   client                                   server
//   start() ── round 0: [input] ──────────►  handle(0) ─► question of the first step
//   handle(question) ── round 1: answer ──►  handle(1) ─► next question …
//                                            last handle ─► [logits]
//
// A message out of order, twice, or of the wrong size is an InputError "round.*" that names the expected
// step, and leaves the session as it was.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "models/network/integer_network.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/client_bundle.h"
#include "protocols/phases.h"
#include "protocols/sign_test.h"

namespace popcorn::protocols {

/// Leaks nothing; the alternative is "blinded".
inline constexpr const char* kDefaultSignTest = "oblivious";

class MessageIntake;

/// A network made ready to serve: weighted-sum plans, steps, bundle. Immutable, shared by all sessions.
class ServedModel {
 public:
  /// Seconds for a large network. @param network finished. @param chunk most comparisons of one step
  /// @throws InputError "model.*"
  /// @param sign_tests that clients may choose, preferred first; empty = all
  static std::shared_ptr<const ServedModel> create(models::IntegerNetwork network,
                                                   std::uint64_t chunk = kDefaultChunk,
                                                   const std::vector<std::string>& sign_tests = {});
  ~ServedModel();

  const models::IntegerNetwork& network() const noexcept;
  const ClientBundle& bundle() const noexcept;

  struct Parts;
  const Parts& parts() const noexcept { return *parts_; }

 private:
  explicit ServedModel(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Predicted cost of one inference, exact in multiplications, ciphertexts and bytes on the wire.
struct InferenceCost {
  struct Layer {
    std::string name;
    std::string kind;
    std::uint64_t multiplications = 0;        ///< modulo N², squarings included
    std::uint64_t naive_multiplications = 0;  ///< one exponentiation per weight
    std::uint64_t ciphertexts_up = 0, ciphertexts_down = 0;
    std::uint64_t bytes_up = 0, bytes_down = 0;
  };
  std::vector<Layer> layers;
  std::uint64_t multiplications = 0, naive_multiplications = 0;
  std::uint64_t ciphertexts_up = 0, ciphertexts_down = 0;
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< message bodies of all rounds
  std::uint64_t rounds = 0;
  /// Upper bounds of what one session holds at its peak, with the message being answered and its answer;
  /// without what all sessions of a model or of a key share. For the kernel in use on this machine.
  std::uint64_t peak_memory_client = 0, peak_memory_server = 0;
};
/// @param has_state whether both parties resume the sign test's set-up of an earlier inference under the key
InferenceCost predict_cost(const ServedModel& model, unsigned key_bits,
                           const std::string& sign_test = kDefaultSignTest, bool has_state = false);
/// What a client can know: bytes, rounds, ciphertexts and its own memory as above, of the server's work only
/// the steps. One layer for the input, each step, the output.
InferenceCost predict_client_cost(const ClientBundle& bundle, unsigned key_bits,
                                  const std::string& sign_test = kDefaultSignTest, bool has_state = false);

struct SessionOptions {
  std::string sign_test = kDefaultSignTest;
  std::string output = "logits";
  /// Set-up of the sign test that both parties kept from an earlier session under this key, or null: the
  /// parties must agree (by SignTestState::id) before the first message.
  std::shared_ptr<const SignTestState> sign_test_state = nullptr;
};

/// The server's side. Not thread-safe; one owner at a time.
class ServerSession {
 public:
  ServerSession(std::shared_ptr<const ServedModel> model, std::shared_ptr<const paillier::PublicContext> key,
                SessionOptions options = {}, Rng& rng = system_rng());
  ~ServerSession();

  /// Answers the message of round next_round(). @throws InputError "round.*", "message.*", "ciphertext.*"
  Bytes handle(ByteView message);
  /// The same for a message that was taken in pieces, with an intake for this session's key.
  Bytes handle(MessageIntake& message);
  /// For intakes.
  const std::shared_ptr<const paillier::PublicContext>& key() const noexcept;
  std::uint64_t next_round() const noexcept;
  std::uint64_t rounds() const noexcept;  ///< of the whole inference
  bool finished() const noexcept;
  /// Largest body that round `k` may have, for the transport's limit.
  std::size_t max_message_bytes(std::uint64_t round) const;
  paillier::OperationCounts counts() const;
  ServerPhases phases() const noexcept;
  /// The sign test's set-up, to be kept with the client's key; null until the first step is answered.
  std::shared_ptr<const SignTestState> sign_test_state() const;
  /// Bytes of ciphertexts held at the moment.
  std::size_t memory_bytes() const noexcept;

  /// What another process needs to go on: versioned, and secret (it holds masks and transfer seeds). Counters
  /// and phases start again from zero there. One multiplication a ciphertext held. Not when finished.
  Bytes save() const;
  /// The session that save() was called on, ready for the same round. Three multiplications a ciphertext.
  /// @throws InputError "session_state.*" when the bytes are damaged, of another version, model or key
  static std::unique_ptr<ServerSession> restore(std::shared_ptr<const ServedModel> model,
                                                std::shared_ptr<const paillier::PublicContext> key,
                                                ByteView state, Rng& rng = system_rng());

  /// Called with (node index, ciphertexts of that node) after each node; `popcorn verify` compares with the
  /// plaintext evaluator. Only for a process that holds both parties.
  using Observer = std::function<void(std::size_t, const paillier::CiphertextBatch&)>;
  void observe(Observer observer);

 private:
  struct State;
  explicit ServerSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The client's side. Not thread-safe.
class ClientSession {
 public:
  /// @param input integers of bundle.encoding.shape. @throws InputError "input.*", "bundle.*"
  ClientSession(const ClientBundle& bundle, std::shared_ptr<const paillier::KeyOwner> owner,
                const WideVector& input, SessionOptions options = {}, Rng& rng = system_rng());
  ~ClientSession();

  /// Message of round 0. May be called again before the first handle(): gives the same bytes.
  const Bytes& start();
  /// Takes the server's answer to the last message; gives the next message, or nothing when the inference is
  /// over. The bytes stay valid until the next call, so that a transport can repeat them.
  std::optional<ByteView> handle(ByteView message);
  /// handle() for an answer that arrives in pieces: ciphertexts are decrypted as soon as some dozens are
  /// there. begin_answer() forgets what came of an interrupted one; until finish_answer() the session is as
  /// it was.
  void begin_answer();
  /// @throws InputError as handle()
  void take_answer(ByteView piece);
  /// @throws InputError as handle()
  std::optional<ByteView> finish_answer();
  std::uint64_t round() const noexcept;   ///< of the message given last
  std::uint64_t rounds() const noexcept;  ///< of the whole inference
  bool finished() const noexcept;
  /// Name of the step being answered, for progress.
  std::string step_name() const;
  ClientPhases phases() const noexcept;
  /// The output tensor, exact. Only when finished().
  const WideVector& logits() const;
  /// The message given last.
  const Bytes& message() const noexcept;
  /// Largest body that the answer to the last message may have.
  std::size_t max_message_bytes() const;

  /// What another process with the same key pair needs to go on: versioned, and secret (shares and transfer
  /// seeds). From round 1 on until the end: before, nothing was computed that a new session would not give.
  /// @throws Error "session.over", "session.not_started"
  Bytes save() const;
  /// The session that save() was called on, which has given the same message. Phases start again from zero.
  /// @throws InputError "session_state.*" when the bytes are damaged, of another version, model or key
  static std::unique_ptr<ClientSession> restore(const ClientBundle& bundle,
                                                std::shared_ptr<const paillier::KeyOwner> owner,
                                                ByteView state, Rng& rng = system_rng());
  /// The sign test's set-up, to be kept with the key pair and the server's name; null until the first step.
  std::shared_ptr<const SignTestState> sign_test_state() const;

 private:
  struct State;
  explicit ClientSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::protocols
