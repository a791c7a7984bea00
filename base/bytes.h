// Byte strings, bounded readers and writers for binary formats, hexadecimal and base64url.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popcorn {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

ByteView as_bytes(std::string_view text);

/// Lower-case hexadecimal, two digits a byte.
std::string to_hex(ByteView bytes);
/// @throws InputError "hex.invalid" for an odd length or a foreign character
Bytes from_hex(std::string_view text);

/// Base64 with the URL alphabet and without padding (RFC 4648, section 5), as JSON Web Keys use it.
std::string to_base64url(ByteView bytes);
/// @throws InputError "base64url.invalid" for a foreign character, padding, or bits left over
Bytes from_base64url(std::string_view text);

/// Appends little-endian integers and byte strings to a buffer.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { little_endian(value, 2); }
  void u32(std::uint32_t value) { little_endian(value, 4); }
  void u64(std::uint64_t value) { little_endian(value, 8); }
  void bytes(ByteView value) { out_.insert(out_.end(), value.begin(), value.end()); }

 private:
  void little_endian(std::uint64_t value, std::size_t count);
  Bytes& out_;
};

/// Takes little-endian integers and byte strings off the front of a view; never reads past its end.
/// Every method throws InputError "<context>.truncated" when fewer bytes are left than it needs.
class ByteReader {
 public:
  /// @param context what is being read, for error codes and messages, e.g. "message"
  ByteReader(ByteView data, std::string context) : data_(data), context_(std::move(context)) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(little_endian(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(little_endian(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(little_endian(4)); }
  std::uint64_t u64() { return little_endian(8); }
  ByteView bytes(std::size_t count);
  std::size_t remaining() const noexcept { return data_.size(); }
  /// @throws InputError "<context>.trailing_bytes" unless everything was consumed
  void expect_end() const;

 private:
  std::uint64_t little_endian(std::size_t count);
  ByteView data_;
  std::string context_;
};

}  // namespace popcorn
