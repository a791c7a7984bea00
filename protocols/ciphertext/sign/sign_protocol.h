// The sign test of a step: server and client end with one bit each and β ⊕ f = [x ≥ 0] for every neuron.
//
// An interface with interchangeable implementations. A test of one step takes `exchanges` of one question
// (server → client) and one answer (client → server); its bytes travel as one section of the step's messages:
//
//   server                                      client
//   question(0) ──── shares, section ─────────►  question(0)
//   answer(0)   ◄────────────────── section ───  answer(0)
//   …
//   question(e) ──────────── section ─────────►  question(e)     after the last question: bits() are known
//   answer(e)   ◄── section, selection ────────  answer(e)       after the last answer: flips() are known
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ot/set_up.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

/// The public facts of one test.
struct SignTestShape {
  std::uint64_t count = 0;  ///< neurons
  unsigned bits = 0;        ///< ℓ: |x| < 2^ℓ
  unsigned key_bits = 0;    ///< |N|
  ot::SetUp set_up = ot::SetUp::done;
};

/// What the server knows about the neurons of the step: [x] and the masks r of the share (empty when the step
/// has no share).
struct ServerNeurons {
  const paillier::CiphertextBatch& x;
  const WideVector& masks;
};

/// The server's half; one for a session, used for one step after the other. Not thread-safe.
class ServerSignTest {
 public:
  virtual ~ServerSignTest() = default;
  /// Takes the section of the input message, exactly request_bytes() long. @throws InputError, and is then as
  /// it was
  virtual void request(ByteView section) { static_cast<void>(section); }
  /// Starts a step and forgets the former one.
  virtual void begin(const SignTestShape& shape) = 0;
  /// Appends the section of question `exchange`, exactly question_bytes() long.
  virtual void question(unsigned exchange, const ServerNeurons& neurons, Bytes& out) = 0;
  /// Takes the section of answer `exchange`, exactly answer_bytes() long.
  /// @throws InputError "sign_test.*", and is then as it was
  virtual void answer(unsigned exchange, ByteView section) = 0;
  /// f, one byte a neuron, 0 or 1; after the last answer.
  virtual std::span<const std::uint8_t> flips() const = 0;
  /// What to keep for later inferences; null before the set-up has ended, and for tests without one.
  virtual std::shared_ptr<const ot::KeptSetUp> state() const { return nullptr; }
  /// Appends all that the half holds while it waits for answer `exchange`.
  virtual void save(unsigned exchange, StateWriter& out) const = 0;
  /// Makes a new half (with the same state from an earlier session) one that waits for answer `exchange` of a
  /// step. @throws InputError "session_state.*"
  virtual void restore(const SignTestShape& shape, unsigned exchange, StateReader& in) = 0;
};

/// The client's half; one for a session, used for one step after the other. Not thread-safe.
class ClientSignTest {
 public:
  virtual ~ClientSignTest() = default;
  /// Appends the section of the input message, exactly request_bytes() long.
  virtual void request(Bytes& out) { static_cast<void>(out); }
  /// Starts a step and forgets the former one.
  virtual void begin(const SignTestShape& shape) = 0;
  /// Takes the section of question `exchange`, exactly question_bytes() long.
  /// @param shares c; empty without share
  /// @throws InputError "sign_test.*", "ciphertext.invalid", and is then as it was; ot::FailedCheck, and is
  /// then of no use any more
  virtual void question(unsigned exchange, const WideVector& shares, ByteView section) = 0;
  /// Appends the section of answer `exchange`, exactly answer_bytes() long.
  virtual void answer(unsigned exchange, Bytes& out) = 0;
  /// β, one byte a neuron, 0 or 1; after the last question.
  virtual std::span<const std::uint8_t> bits() const = 0;
  /// As ServerSignTest::state().
  virtual std::shared_ptr<const ot::KeptSetUp> state() const { return nullptr; }
  /// Appends all that the half holds after answer `exchange`, but for state().
  virtual void save(unsigned exchange, StateWriter& out) const = 0;
  /// Makes a new half (with the same state, which is not null for a test that has one) one that has given
  /// answer `exchange` of a step. @param set_up of the session's first step
  /// @throws InputError "session_state.*"
  virtual void restore(const SignTestShape& shape, unsigned exchange, ot::SetUp set_up, StateReader& in) = 0;
};

/// Exact work of one test at the server, for the cost model.
struct SignTestCost {
  std::uint64_t multiplications = 0;   ///< modulo N², squarings included
  std::uint64_t ciphertexts_down = 0;  ///< in the questions
  std::uint64_t ciphertexts_up = 0;    ///< in the answers
};

/// Upper bounds in bytes.
struct SignTestMemory {
  std::uint64_t server = 0;
  std::uint64_t client = 0;
};

/// One kind of sign test: what both parties must agree on. Immutable, thread-safe.
class SignTest {
 public:
  virtual ~SignTest() = default;
  virtual std::string_view name() const noexcept = 0;
  /// Exchanges of one step, at least 1; a function of the width only.
  virtual unsigned exchanges(unsigned bits) const = 0;
  /// True when a step needs shares for the test itself, also where its selection does not (the sign step).
  virtual bool needs_shares() const noexcept = 0;
  /// True when the server must permute the neurons of the step.
  virtual bool permutes() const noexcept = 0;
  /// Bits of the widest plaintext the test puts into a ciphertext; 0 when it uses none.
  virtual unsigned plaintext_bits(unsigned bits) const = 0;
  virtual std::size_t question_bytes(const SignTestShape& shape, unsigned exchange) const = 0;
  virtual std::size_t answer_bytes(const SignTestShape& shape, unsigned exchange) const = 0;
  virtual SignTestCost cost(const SignTestShape& shape) const = 0;
  /// Held and worked with for one step at most, beside x, shares and messages.
  virtual SignTestMemory memory(const SignTestShape& shape) const = 0;
  /// What the first step of a session needs: `full`, or `resumed` when both parties have a state, or `done`
  /// for a test without set-up.
  virtual ot::SetUp set_up(bool has_state) const noexcept {
    static_cast<void>(has_state);
    return ot::SetUp::done;
  }
  /// Bytes that the input message carries for the set-up, and the server's work on them.
  virtual std::size_t request_bytes(unsigned key_bits, ot::SetUp set_up) const {
    static_cast<void>(key_bits), static_cast<void>(set_up);
    return 0;
  }
  virtual SignTestCost request_cost(ot::SetUp set_up) const {
    static_cast<void>(set_up);
    return {};
  }
  /// The references must outlive the result. @param state kept from an earlier session, or null for a full
  /// set-up
  virtual std::unique_ptr<ServerSignTest> server(const paillier::Evaluator& evaluator, Rng& rng,
                                                 std::shared_ptr<const ot::KeptSetUp> state = {}) const = 0;
  virtual std::unique_ptr<ClientSignTest> client(const paillier::KeyOwner& owner, Rng& rng,
                                                 std::shared_ptr<const ot::KeptSetUp> state = {}) const = 0;
};

/// Names of all sign tests of this program, preferred first.
std::vector<std::string_view> sign_test_names();
/// @throws RefusedError "sign_test.unknown" that lists the known names
const SignTest& sign_test_named(std::string_view name);

}  // namespace popcorn::protocols
