#include "protocols/ot/sources/transcript.h"

#include <cstring>

namespace popcorn::protocols::ot {

Transcript& Transcript::add(ByteView part) {
  Bytes length;
  ByteWriter(length).u64(part.size());
  stream_.update(length);
  stream_.update(part);
  return *this;
}

Transcript& Transcript::add(std::uint64_t number) {
  Bytes part;
  ByteWriter(part).u64(number);
  return add(ByteView(part));
}

Transcript& Transcript::add(Block block) {
  return add({reinterpret_cast<const std::uint8_t*>(&block), sizeof block});
}

Block Transcript::block() {
  const Sha256 bytes = digest();
  Block result;
  std::memcpy(&result, bytes.data(), sizeof result);
  return result;
}

}  // namespace popcorn::protocols::ot
