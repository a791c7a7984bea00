#include "protocols/wire/message.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "protocols/wire/limits.h"

namespace popcorn::protocols {

namespace {

constexpr std::uint8_t kMagic0 = 'P';
constexpr std::uint8_t kMagic1 = 'C';
constexpr std::uint8_t kHeaderBytes = 16;

bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(MessageKind::input) &&
         kind <= static_cast<std::uint8_t>(MessageKind::flight);
}

/// True when every length is within the limits, so that none of the sums below can overflow.
bool within_limits(const MessageShape& shape) {
  return shape.elements <= Limits::kElements && shape.ciphertexts <= 2 * Limits::kElements &&
         shape.ciphertext_bytes <= Limits::kCiphertextBytes &&
         shape.sign_test_bytes <= Limits::kMessageBytes && shape.bytes() <= Limits::kMessageBytes;
}

struct Header {
  MessageKind kind;
  std::uint64_t bytes;
};

Header parse_header(ByteReader& reader) {
  const std::uint8_t magic0 = reader.u8();
  const std::uint8_t magic1 = reader.u8();
  if (magic0 != kMagic0 || magic1 != kMagic1) {
    throw InputError("message.magic", "the message does not begin with the magic bytes \"PC\"");
  }
  const std::uint8_t header_bytes = reader.u8();
  const std::uint8_t major = reader.u8();
  const std::uint8_t minor = reader.u8();
  if (major != kWireMajor || minor > kWireMinor || header_bytes != kHeaderBytes) {
    throw InputError("message.version", "the message has format " + std::to_string(major) + "." +
                                            std::to_string(minor) + ", this program understands " +
                                            std::to_string(kWireMajor) + "." + std::to_string(kWireMinor));
  }
  const std::uint8_t kind = reader.u8();
  if (!known_kind(kind)) {
    throw InputError("message.kind", "unknown message kind " + std::to_string(kind));
  }
  if (reader.u16() != 0) throw InputError("message.flags", "the message sets flags that must be 0");
  return {static_cast<MessageKind>(kind), reader.u64()};
}

}  // namespace

std::string_view to_string(MessageKind kind) {
  switch (kind) {
    case MessageKind::input:
      return "input";
    case MessageKind::question:
      return "question";
    case MessageKind::answer:
      return "answer";
    case MessageKind::logits:
      return "logits";
    case MessageKind::preparation:
      return "preparation";
    case MessageKind::flight:
      return "flight";
  }
  return "unknown";
}

MessagePrefix parse_prefix(ByteView message) {
  ByteReader reader(message, "message");
  const Header header = parse_header(reader);
  MessagePrefix prefix;
  prefix.shape.kind = header.kind;
  prefix.address.step = reader.u32();
  prefix.address.exchange = reader.u32();
  std::ranges::copy(reader.bytes(prefix.address.key.size()), prefix.address.key.begin());
  prefix.shape.ciphertext_bytes = reader.u32();
  if (reader.u32() != 0) throw InputError("message.flags", "the message sets reserved bytes that must be 0");
  prefix.shape.elements = reader.u64();
  prefix.shape.ciphertexts = reader.u64();
  prefix.shape.sign_test_bytes = reader.u64();
  if (!within_limits(prefix.shape)) {
    throw InputError("message.limit", "the message declares more than this program accepts in one message");
  }
  if (prefix.shape.bytes() != header.bytes) {
    throw InputError("message.length", "the message declares a length of " + std::to_string(header.bytes) +
                                           " bytes, its sections need " +
                                           std::to_string(prefix.shape.bytes()));
  }
  return prefix;
}

Message parse_message(ByteView message) {
  const MessagePrefix prefix = parse_prefix(message);
  Message parsed{prefix.shape, prefix.address, {}, {}};
  const auto ciphertext_section =
      static_cast<std::size_t>(parsed.shape.ciphertexts * parsed.shape.ciphertext_bytes);
  const auto sign_test_section = static_cast<std::size_t>(parsed.shape.sign_test_bytes);
  ByteReader reader(message.subspan(kMessagePrefixBytes), "message");
  if (sign_test_comes_first(parsed.shape.kind)) {
    parsed.sign_test = reader.bytes(sign_test_section);
    parsed.ciphertexts = reader.bytes(ciphertext_section);
  } else {
    parsed.ciphertexts = reader.bytes(ciphertext_section);
    parsed.sign_test = reader.bytes(sign_test_section);
  }
  reader.expect_end();
  return parsed;
}

MessageWriter::MessageWriter(const MessageShape& shape, const MessageAddress& address)
    : bytes_(shape.bytes()) {
  if (!within_limits(shape)) {
    throw Error("message.limit", "a message of kind \"" + std::string(to_string(shape.kind)) + "\" with " +
                                     std::to_string(shape.elements) + " elements is beyond the limits");
  }
  out_.reserve(static_cast<std::size_t>(bytes_));
  ByteWriter writer(out_);
  writer.u8(kMagic0);
  writer.u8(kMagic1);
  writer.u8(kHeaderBytes);
  writer.u8(kWireMajor);
  writer.u8(kWireMinor);
  writer.u8(static_cast<std::uint8_t>(shape.kind));
  writer.u16(0);
  writer.u64(bytes_);
  writer.u32(address.step);
  writer.u32(address.exchange);
  writer.bytes(address.key);
  writer.u32(static_cast<std::uint32_t>(shape.ciphertext_bytes));
  writer.u32(0);
  writer.u64(shape.elements);
  writer.u64(shape.ciphertexts);
  writer.u64(shape.sign_test_bytes);
}

Bytes MessageWriter::finish() {
  if (out_.size() != bytes_) {
    throw Error("message.length", "a message of " + std::to_string(out_.size()) +
                                      " bytes was written where " + std::to_string(bytes_) +
                                      " were declared");
  }
  return std::move(out_);
}

}  // namespace popcorn::protocols
