// The two halves of one step on ciphertexts: share, sign test, selection. Sessions run them a message at a
// time, samples and measurements run both in one process (local_step.h).
//
//   ServerStep                                            ClientStep
//   open(x)
//   question(0) ── shares, section of the sign test ────► question(0)
//   answer(0)   ◄───────────── section of the sign test ─ answer(0)
//   …
//   close()     ◄─────────────────────────── selection ── select()
//
// Wall seconds of each part are counted on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/plan/steps.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

/// True when the first question of a step carries masked shares.
bool has_shares(StepKind kind, const SignTest& sign_test) noexcept;
/// Ciphertexts of the selection in a step's last answer.
std::uint64_t selection_ciphertexts(StepKind kind, std::uint64_t neurons) noexcept;

/// Wall seconds of one half so far.
struct StepSeconds {
  double share = 0, test = 0, selection = 0;
};

/// Serves one step after the other of a session. Not thread-safe.
class ServerStep {
 public:
  /// The references must outlive the object.
  ServerStep(const SignTest& sign_test, const paillier::Evaluator& evaluator, Rng& rng,
             std::shared_ptr<const ot::KeptSetUp> set_up = {});

  /// Takes the sign-test section of the input message. @throws InputError, and is then as it was
  void request(ByteView section);
  /// Starts a step. @param x what is compared with 0
  void open(StepKind kind, const SignTestShape& shape, paillier::CiphertextBatch x);
  /// Appends the sections of a question: shares (exchange 0) and sign test.
  void question(unsigned exchange, Bytes& out);
  /// Takes the sign-test section of an answer. @throws InputError, and is then as it was
  void answer(unsigned exchange, ByteView section);
  /// Ends the step with the client's selection: [ReLU(x)] or [sign(x)], in the order of x.
  paillier::CiphertextBatch close(const paillier::CiphertextBatch& selection);

  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const { return sign_test_->state(); }
  StepSeconds seconds() const noexcept { return seconds_; }
  std::size_t memory_bytes() const noexcept { return x_.memory_bytes(); }
  /// Appends what is held while answer `exchange` is awaited.
  void save(unsigned exchange, StateWriter& out) const;
  /// Brings a new half to where save() was called. @throws InputError "session_state.*"
  void restore(StepKind kind, const SignTestShape& shape, unsigned exchange, StateReader& in);

 private:
  const SignTest& kind_of_test_;
  const paillier::Evaluator& evaluator_;
  Rng& rng_;
  std::unique_ptr<ServerSignTest> sign_test_;
  StepSeconds seconds_;

  StepKind kind_ = StepKind::relu;
  unsigned bits_ = 0;
  paillier::CiphertextBatch x_;  ///< permuted
  WideVector masks_;             ///< r, in the same order
  std::vector<std::uint32_t>
      permutation_;  ///< x_[i] belongs to comparison permutation_[i]; empty: not permuted
};

/// Answers one step after the other of a session. Not thread-safe.
class ClientStep {
 public:
  /// The references must outlive the object.
  ClientStep(const SignTest& sign_test, const paillier::KeyOwner& owner, Rng& rng,
             std::shared_ptr<const ot::KeptSetUp> set_up = {});

  /// Appends the sign-test section of the input message.
  void request(Bytes& out) { sign_test_->request(out); }
  /// Takes a question; the first one (exchange 0) starts a step. Changes nothing but the sign test unless it
  /// succeeds. @param packed the decrypted shares of the first question
  /// @throws as ClientSignTest::question(); ot::FailedCheck "message.plaintext"
  void question(StepKind kind, const SignTestShape& shape, unsigned exchange, WideVector packed,
                ByteView section);
  /// Appends the sign-test section of an answer.
  void answer(unsigned exchange, Bytes& out);
  /// Appends the selection, after the last section.
  void select(StepKind kind, Bytes& out);

  std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const { return sign_test_->state(); }
  StepSeconds seconds() const noexcept { return seconds_; }
  /// Appends what is held after an answer. @param last whether it had the selection
  void save(unsigned exchange, bool last, StateWriter& out) const;
  /// Brings a new half to where save() was called. @param set_up of the session's first step
  /// @throws InputError "session_state.*"
  void restore(const SignTestShape& shape, unsigned exchange, bool last, ot::SetUp set_up, StateReader& in);

 private:
  const SignTest& kind_of_test_;
  const paillier::KeyOwner& owner_;
  std::unique_ptr<ClientSignTest> sign_test_;
  StepSeconds seconds_;
  WideVector shares_;  ///< c of the step in progress
};

}  // namespace popcorn::protocols
