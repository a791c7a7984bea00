// The server's side of a message that arrives in pieces: its ciphertexts are validated and brought into the
// kernel's form as they come, so that work begins before the last byte is there and hardly any of the message
// is held twice. Needs no session and draws no randomness: nothing is decided before
// ServerSession::handle() has the whole message.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>

#include "paillier/evaluator.h"
#include "protocols/wire/message_pieces.h"

namespace popcorn::protocols {

/// Not thread-safe.
class MessageIntake {
 public:
  /// @param bytes of the whole message
  MessageIntake(std::shared_ptr<const paillier::PublicContext> key, std::uint64_t bytes);
  MessageIntake(const MessageIntake&) = delete;
  MessageIntake& operator=(const MessageIntake&) = delete;

  /// What is wrong with the message is kept for take_result(); the rest of it is ignored then.
  /// 3 multiplications a ciphertext.
  void take(ByteView piece);
  /// Ciphertexts that are ready.
  std::uint64_t ciphertexts() const noexcept { return ready_; }
  /// Held at the moment.
  std::size_t memory_bytes() const noexcept { return batch_.memory_bytes() + pieces_.memory_bytes(); }
  const paillier::PublicKey& key() const noexcept { return evaluator_.key(); }
  double seconds() const noexcept { return seconds_; }  ///< of work so far
  paillier::OperationCounts counts() const noexcept { return evaluator_.counts(); }

  struct Result {
    MessagePrefix prefix;
    ByteView sign_test;  ///< valid as long as the intake is
    paillier::CiphertextBatch ciphertexts;
  };
  /// The prefix once all of the message is there. @throws InputError "message.*"
  const MessagePrefix& prefix() const;
  /// Once. @throws InputError "ciphertext.invalid" besides those of prefix()
  Result take_result();

 private:
  void begin(const MessagePrefix& prefix);
  void parse(std::uint64_t first, ByteView ciphertexts);

  paillier::Evaluator evaluator_;
  MessagePieces pieces_;
  paillier::CiphertextBatch batch_;
  bool foreign_ = false;  ///< ciphertexts of another width: no session takes them
  std::uint64_t ready_ = 0;
  double seconds_ = 0;
  std::exception_ptr broken_;      ///< what is wrong with the form
  std::exception_ptr ciphertext_;  ///< the first ciphertext that is none
};

}  // namespace popcorn::protocols
