#include "protocols/session/message_intake.h"

#include <utility>

#include "base/error.h"
#include "protocols/plan/phases.h"

namespace popcorn::protocols {

MessageIntake::MessageIntake(std::shared_ptr<const paillier::PublicContext> key, std::uint64_t bytes)
    : evaluator_(std::move(key)),
      pieces_(bytes, evaluator_.group_size(),
              {[this](const MessagePrefix& prefix) { begin(prefix); },
               [this](std::uint64_t first, ByteView ciphertexts) { parse(first, ciphertexts); }}) {}

void MessageIntake::take(ByteView piece) {
  if (broken_) return;
  try {
    pieces_.take(piece);
  } catch (const InputError&) {
    broken_ = std::current_exception();
  }
}

void MessageIntake::begin(const MessagePrefix& prefix) {
  foreign_ = prefix.shape.ciphertext_bytes != evaluator_.key().ciphertext_bytes();
  if (!foreign_) batch_ = evaluator_.reserve(static_cast<std::size_t>(prefix.shape.ciphertexts));
}

void MessageIntake::parse(std::uint64_t first, ByteView ciphertexts) {
  if (foreign_ || ciphertext_) return;
  const PhaseTimer timer(seconds_);
  try {
    evaluator_.parse_into(batch_, static_cast<std::size_t>(first), ciphertexts);
    ready_ = first + ciphertexts.size() / evaluator_.key().ciphertext_bytes();
  } catch (const InputError&) {
    ciphertext_ = std::current_exception();
  }
}

const MessagePrefix& MessageIntake::prefix() const {
  if (broken_) std::rethrow_exception(broken_);
  pieces_.expect_end();
  return pieces_.prefix();
}

MessageIntake::Result MessageIntake::take_result() {
  const MessagePrefix& checked = prefix();
  if (ciphertext_) std::rethrow_exception(ciphertext_);
  return {checked, pieces_.sign_test(), std::move(batch_)};
}

}  // namespace popcorn::protocols
