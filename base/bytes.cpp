#include "base/bytes.h"

#include <array>

#include "base/error.h"

namespace popcorn {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    throw InputError("hex.invalid", "a hexadecimal string has an odd number of digits");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      throw InputError("hex.invalid", "a hexadecimal string holds a foreign character");
    bytes.push_back(static_cast<std::uint8_t>(16 * high + low));
  }
  return bytes;
}

std::string to_base64url(ByteView bytes) {
  std::string text;
  text.reserve((4 * bytes.size() + 2) / 3);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text.push_back(kBase64Url[(buffer >> bits) & 63]);
    }
  }
  if (bits > 0) text.push_back(kBase64Url[(buffer << (6 - bits)) & 63]);
  return text;
}

Bytes from_base64url(std::string_view text) {
  Bytes bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kBase64Url.find(c);
    if (digit == std::string_view::npos) {
      throw InputError("base64url.invalid", "a base64url string holds a character outside its alphabet");
    }
    buffer = (buffer << 6) | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(buffer >> bits));
    }
  }
  if (bits >= 6 || (buffer & ((1U << bits) - 1)) != 0) {
    throw InputError("base64url.invalid", "a base64url string ends in the middle of a byte");
  }
  return bytes;
}

void ByteWriter::little_endian(std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

ByteView ByteReader::bytes(std::size_t count) {
  if (count > data_.size()) {
    throw InputError(context_ + ".truncated", "the " + context_ + " ends early: " + std::to_string(count) +
                                                  " more bytes were expected, " +
                                                  std::to_string(data_.size()) + " are left");
  }
  const ByteView front = data_.first(count);
  data_ = data_.subspan(count);
  return front;
}

void ByteReader::expect_end() const {
  if (!data_.empty()) {
    throw InputError(context_ + ".trailing_bytes", "the " + context_ + " goes on for " +
                                                       std::to_string(data_.size()) + " bytes after its end");
  }
}

std::uint64_t ByteReader::little_endian(std::size_t count) {
  const ByteView front = bytes(count);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= static_cast<std::uint64_t>(front[i]) << (8 * i);
  return value;
}

}  // namespace popcorn
