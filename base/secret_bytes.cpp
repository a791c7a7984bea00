#include "base/secret_bytes.h"

#include <cstring>
#include <utility>

namespace popcorn {

void wipe(std::span<std::uint8_t> bytes) noexcept {
  if (bytes.empty()) return;
  std::memset(bytes.data(), 0, bytes.size());
  // OPENSSL_cleanse() clears eight bytes at a time, which showed in profiles of the transfers. As far as the
  // compiler knows this reads the memory, so that no store into it is dead.
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void SecretBytes::shrink(std::size_t size) noexcept {
  wipe(std::span(bytes_).subspan(size));
  bytes_.erase(bytes_.begin() + static_cast<std::ptrdiff_t>(size), bytes_.end());
}

SecretBytes::~SecretBytes() {
  wipe(bytes_);
}

}  // namespace popcorn
