// Challenges and keys from what both parties know: SHA-256 over labelled, length-prefixed parts.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/sha256_stream.h"
#include "protocols/ot/bits/block.h"

namespace popcorn::protocols::ot {

class Transcript {
 public:
  explicit Transcript(std::string_view label) { add(as_bytes(label)); }
  Transcript& add(ByteView part);
  Transcript& add(std::uint64_t number);
  Transcript& add(Block block);
  /// Once; nothing may follow.
  Sha256 digest() { return stream_.digest(); }
  /// The first 128 bits of digest().
  Block block();

 private:
  Sha256Stream stream_;
};

}  // namespace popcorn::protocols::ot
