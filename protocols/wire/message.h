// Messages of one inference, binary and versioned; golden files under tests/data/wire pin the format.
//
//   offset size field                         all integers little-endian
//        0    2 magic "PC"
//        2    1 header size (16)
//        3    1 major version
//        4    1 minor version
//        5    1 message kind
//        6    2 flags (0)
//        8    8 total length in bytes, this header included
//       16    4 step                          index in the step list; the number of steps for the logits
//       20    4 exchange                      within the step; 0 unless its sign test needs several
//       24   32 key fingerprint
//       56    4 bytes of one ciphertext       2·|N| bits
//       60    4 reserved (0)
//       64    8 elements                      input values, neurons of the step, or logits
//       72    8 ciphertexts
//       80    8 bytes of the sign-test section
//       88      sections
//
// Sections, in the order in which the receiver needs them:
//   input      client → server, first   one ciphertext an input value; sign test (set-up, where it has one)
//   question   server → client          packed shares; sign test
//   answer     client → server          sign test; selection (in the last exchange of a step)
//   logits     server → client, last    packed output values
//   preparation, flight                 what the engine puts there; ciphertexts first
// A ciphertext is a fixed-width big-endian integer. Every length follows from the first 88 bytes, so that a
// transport may stream.
//
// Parsing allocates nothing: the result is a view of the message. message_pieces.h is for messages that are
// not there as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/sha256.h"

namespace popcorn::protocols {

inline constexpr std::uint8_t kWireMajor = 2;
inline constexpr std::uint8_t kWireMinor = 0;
inline constexpr std::size_t kMessagePrefixBytes = 88;

enum class MessageKind : std::uint8_t {
  input = 1,
  question = 2,
  answer = 3,
  logits = 4,
  preparation = 5,  ///< either way, before the input: the same whatever it is
  flight = 6,       ///< either way, of a dialogue whose steps have no question and no answer
};
std::string_view to_string(MessageKind kind);

/// The order of a message's sections.
constexpr bool sign_test_comes_first(MessageKind kind) noexcept {
  return kind == MessageKind::answer;
}

/// Whose inference, and where in it.
struct MessageAddress {
  Sha256 key{};  ///< fingerprint
  std::uint32_t step = 0;
  std::uint32_t exchange = 0;
};

/// The lengths that a message declares; both parties know them beforehand.
struct MessageShape {
  MessageKind kind = MessageKind::input;
  std::uint64_t elements = 0;
  std::uint64_t ciphertexts = 0;
  std::uint64_t ciphertext_bytes = 0;
  std::uint64_t sign_test_bytes = 0;

  /// Of the whole message.
  std::uint64_t bytes() const noexcept {
    return kMessagePrefixBytes + ciphertexts * ciphertext_bytes + sign_test_bytes;
  }
  friend bool operator==(const MessageShape&, const MessageShape&) = default;
};

/// A message whose prefix agrees with the limits and with its own length; the sections are not validated yet.
struct Message {
  MessageShape shape;
  MessageAddress address;
  ByteView ciphertexts;
  ByteView sign_test;
};

/// @throws InputError "message.truncated", "message.magic", "message.version", "message.kind",
/// "message.flags", "message.length", "message.limit", "message.trailing_bytes"
Message parse_message(ByteView message);

/// What the first kMessagePrefixBytes of a message say.
struct MessagePrefix {
  MessageShape shape;
  MessageAddress address;
};
/// @throws InputError as parse_message(), except for what lies behind the prefix
MessagePrefix parse_prefix(ByteView message);

/// Assembles one message: the prefix first, then the caller appends the sections in their order.
class MessageWriter {
 public:
  /// @throws Error "message.limit" when the shape is beyond what a parser accepts
  MessageWriter(const MessageShape& shape, const MessageAddress& address);
  /// Where sections are appended.
  Bytes& out() noexcept { return out_; }
  /// @throws Error "message.length" unless the sections have exactly the lengths the shape declares
  Bytes finish();

 private:
  std::uint64_t bytes_;
  Bytes out_;
};

}  // namespace popcorn::protocols
