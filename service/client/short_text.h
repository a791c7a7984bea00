// Short texts in files of the client: u16 length and the characters.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace popcorn::service {

/// @param text at most 65,535 bytes
inline void write_text(ByteWriter& out, const std::string& text) {
  out.u16(static_cast<std::uint16_t>(text.size()));
  out.bytes(as_bytes(text));
}

/// @throws InputError with this code and message when the text is longer than `most` bytes
inline std::string read_text(ByteReader& in, std::size_t most, const char* code, const char* message) {
  const std::size_t size = in.u16();
  if (size > most) {
    throw InputError(code, message);
  }
  const ByteView text = in.bytes(size);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace popcorn::service
