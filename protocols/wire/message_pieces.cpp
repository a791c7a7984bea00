#include "protocols/wire/message_pieces.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace popcorn::protocols {

namespace {

void append(Bytes& to, ByteView piece) {
  to.insert(to.end(), piece.begin(), piece.end());
}

ByteView first_of(ByteView piece, std::uint64_t most) {
  return piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), most)));
}

}  // namespace

MessagePieces::MessagePieces(std::uint64_t bytes, std::size_t together, Sink sink)
    : bytes_(bytes), together_(together), sink_(std::move(sink)) {}

void MessagePieces::take(ByteView piece) {
  taken_ += piece.size();
  if (head_.size() < kMessagePrefixBytes) piece = take_prefix(piece);
  while (!piece.empty()) {
    const bool first = sign_test_comes_first(prefix_.shape.kind);
    if (sign_test_bytes_left_ > 0 && (first || ciphertext_bytes_left_ == 0)) {
      piece = take_sign_test(piece);
    } else if (ciphertext_bytes_left_ > 0) {
      piece = take_ciphertexts(piece);
    } else {
      throw InputError("message.trailing_bytes",
                       "message: " + std::to_string(taken_ - prefix_.shape.bytes()) + " bytes too many");
    }
  }
}

void MessagePieces::expect_end() const {
  const bool complete = head_.size() == kMessagePrefixBytes && taken_ == prefix_.shape.bytes();
  if (!complete) throw InputError("message.truncated", "the message ends before it is complete");
}

ByteView MessagePieces::take_prefix(ByteView piece) {
  const ByteView taken = first_of(piece, kMessagePrefixBytes - head_.size());
  append(head_, taken);
  if (head_.size() < kMessagePrefixBytes) return {};
  prefix_ = parse_prefix(head_);
  const MessageShape& shape = prefix_.shape;
  // Before anything is made room for.
  if (shape.bytes() > bytes_) {
    throw InputError("message.truncated", "the message declares " + std::to_string(shape.bytes()) +
                                              " bytes, only " + std::to_string(bytes_) + " were sent");
  }
  if (shape.bytes() < bytes_) {
    throw InputError("message.trailing_bytes", "the message declares " + std::to_string(shape.bytes()) +
                                                   " bytes, " + std::to_string(bytes_) + " were sent");
  }
  sign_test_bytes_left_ = shape.sign_test_bytes;
  ciphertext_bytes_left_ = shape.ciphertexts * shape.ciphertext_bytes;
  sink_.begin(prefix_);
  sign_test_.reserve(static_cast<std::size_t>(sign_test_bytes_left_));
  return piece.subspan(taken.size());
}

ByteView MessagePieces::take_sign_test(ByteView piece) {
  const ByteView taken = first_of(piece, sign_test_bytes_left_);
  append(sign_test_, taken);
  sign_test_bytes_left_ -= taken.size();
  return piece.subspan(taken.size());
}

ByteView MessagePieces::take_ciphertexts(ByteView piece) {
  const ByteView taken = first_of(piece, ciphertext_bytes_left_);
  const std::size_t run = together_ * static_cast<std::size_t>(prefix_.shape.ciphertext_bytes);
  ciphertext_bytes_left_ -= taken.size();
  ByteView rest = taken;
  if (!waiting_.empty()) {
    const ByteView more = first_of(rest, run - waiting_.size());
    append(waiting_, more);
    rest = rest.subspan(more.size());
    if (waiting_.size() == run || (rest.empty() && ciphertext_bytes_left_ == 0)) {
      hand_on(waiting_);
      waiting_.clear();
    }
  }
  const std::size_t whole = ciphertext_bytes_left_ == 0 ? rest.size() : rest.size() / run * run;
  if (whole > 0) hand_on(rest.first(whole));
  append(waiting_, rest.subspan(whole));
  return piece.subspan(taken.size());
}

void MessagePieces::hand_on(ByteView ciphertexts) {
  sink_.ciphertexts(handed_on_, ciphertexts);
  handed_on_ += ciphertexts.size() / prefix_.shape.ciphertext_bytes;
}

}  // namespace popcorn::protocols
