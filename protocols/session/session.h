// The two parties of one inference as state machines without I/O: bytes in, bytes out. The engine that the
// options name computes (engine.h); the sessions keep the order of the rounds, check every message, and say
// what a failure means.
//
//   client                                   server
//   start() ── round 0 ───────────────────►  handle(0) ─► its answer
//   handle(answer) ── round 1 ────────────►  handle(1) ─► its answer …
//                                            last handle ─► [logits]
//
// A message out of order, twice, or of the wrong size is an InputError "round.*" that names the expected
// step, and leaves the session as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/engine.h"
#include "protocols/session/served_model.h"

namespace popcorn::protocols {

class ClientSession;
class MessageIntake;

/// The server's side. Not thread-safe; one owner at a time.
class ServerSession {
 public:
  /// @throws RefusedError for options that the model does not offer, InputError "model.too_wide"
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
  /// Ciphertexts that it re-randomises in all rounds.
  std::uint64_t rerandomisations() const;
  paillier::OperationCounts counts() const;
  ServerPhases phases() const noexcept;
  /// The transfers' set-up, to be kept with the client's key; null until it is complete.
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const;
  /// Bytes of what is held at the moment.
  std::size_t memory_bytes() const noexcept;
  /// Rounds that do not depend on the input; 0 for an engine without a preparation. A session that has
  /// answered them, and nothing else, is what a stock holds.
  std::uint64_t preparation_rounds() const;

  /// False where its engine holds what cannot be saved: the session then goes on in this process only.
  bool can_be_kept() const;
  /// What another process needs to go on: versioned, and secret (it holds masks and transfer seeds). Counters
  /// and phases start again from zero there. One multiplication a ciphertext held.
  /// @throws Error "session.over" when it is, "session.not_kept" unless can_be_kept()
  Bytes save() const;
  /// The session that save() was called on, ready for the same round. Three multiplications a ciphertext.
  /// @throws InputError "session_state.*" when the bytes are damaged, of another version, model or key
  static std::unique_ptr<ServerSession> restore(std::shared_ptr<const ServedModel> model,
                                                std::shared_ptr<const paillier::PublicContext> key,
                                                ByteView state, Rng& rng = system_rng());

  /// The integers of each node go to `observer` as soon as they exist; `popcorn verify` compares them with
  /// the plaintext evaluator. Only for a process that holds both parties.
  /// @param client the other party of this inference, before its start(); outlives this
  void observe(ClientSession& client, Observer observer);

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
  /// A session without an input: handle() gives nothing after the last answer of the preparation, and the
  /// session then waits for provide(). @throws RefusedError "session.preparation" for an engine without one
  static std::unique_ptr<ClientSession> preparation(const ClientBundle& bundle,
                                                    std::shared_ptr<const paillier::KeyOwner> owner,
                                                    SessionOptions options = {}, Rng& rng = system_rng());
  ~ClientSession();

  /// Whether the preparation is over and the input is not here.
  bool awaits_input() const noexcept;
  /// As ServerSession::preparation_rounds().
  std::uint64_t preparation_rounds() const;
  /// Gives the first online message. Only when awaits_input(), once; a copy of a kept session that was given
  /// an input must never get another: the server would see how the two differ.
  /// @throws InputError "input.*", and the session is as it was
  ByteView provide(const WideVector& input);

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
  /// Encryptions of all messages after round 0.
  std::uint64_t encryptions() const;
  ClientPhases phases() const noexcept;
  /// The output tensor, exact. Only when finished().
  const WideVector& logits() const;
  /// The message given last.
  const Bytes& message() const noexcept;
  /// Largest body that the answer to the last message may have.
  std::size_t max_message_bytes() const;

  /// False where its engine holds what cannot be saved: the session then goes on in this process only.
  bool can_be_kept() const;
  /// What another process with the same key pair needs to go on: versioned, and secret (shares and transfer
  /// seeds). From round 1 on until the end, or until the first online message of an engine with a
  /// preparation: before, nothing was computed that a new session would not give.
  /// @throws Error "session.over", "session.not_started"; "session.not_kept" unless can_be_kept()
  Bytes save() const;
  /// The session that save() was called on, which has given the same message. Phases start again from zero.
  /// @throws InputError "session_state.*" when the bytes are damaged, of another version, model or key
  static std::unique_ptr<ClientSession> restore(const ClientBundle& bundle,
                                                std::shared_ptr<const paillier::KeyOwner> owner,
                                                ByteView state, Rng& rng = system_rng());
  /// The transfers' set-up, to be kept with the key pair and the server's name; null until the first step.
  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const;

 private:
  friend class ServerSession;
  struct State;
  explicit ClientSession(std::unique_ptr<State> state);
  ClientEngine& engine() noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::protocols
