// A message that arrives in pieces of any size: cut into its prefix, runs of whole ciphertexts and the
// sign-test section, which are handed on as soon as they are complete.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "protocols/wire/message.h"

namespace popcorn::protocols {

/// Holds the prefix, the sign-test section and less than one run of ciphertexts. Not thread-safe.
class MessagePieces {
 public:
  struct Sink {
    /// Called once, before anything else. What it throws ends the message.
    std::function<void(const MessagePrefix&)> begin;
    /// Whole ciphertexts, a multiple of `together` of them until the last ones; `first` counts those before.
    std::function<void(std::uint64_t first, ByteView ciphertexts)> ciphertexts;
  };
  /// @param bytes of the whole message, as the transport knows them beforehand; the message must declare them
  MessagePieces(std::uint64_t bytes, std::size_t together, Sink sink);

  /// @throws InputError as parse_message(), and what the sink throws; nothing more may be given then
  void take(ByteView piece);
  /// @throws InputError "message.truncated" unless all of the message was taken
  void expect_end() const;

  const MessagePrefix& prefix() const noexcept { return prefix_; }
  ByteView sign_test() const noexcept { return sign_test_; }
  std::uint64_t taken() const noexcept { return taken_; }
  /// Of the pieces that are still held.
  std::size_t memory_bytes() const noexcept { return sign_test_.capacity() + waiting_.capacity(); }

 private:
  ByteView take_prefix(ByteView piece);
  ByteView take_sign_test(ByteView piece);
  ByteView take_ciphertexts(ByteView piece);
  void hand_on(ByteView ciphertexts);

  const std::uint64_t bytes_;
  const std::size_t together_;
  const Sink sink_;
  std::uint64_t taken_ = 0;
  MessagePrefix prefix_;
  Bytes head_;  ///< until the prefix is complete
  Bytes sign_test_;
  Bytes waiting_;  ///< of ciphertexts that are too few to be handed on
  std::uint64_t ciphertext_bytes_left_ = 0, sign_test_bytes_left_ = 0;
  std::uint64_t handed_on_ = 0;  ///< ciphertexts
};

}  // namespace popcorn::protocols
