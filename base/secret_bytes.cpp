#include "base/secret_bytes.h"

#include <openssl/crypto.h>

#include <utility>

namespace popcorn {

void wipe(std::span<std::uint8_t> bytes) noexcept {
  OPENSSL_cleanse(bytes.data(), bytes.size());
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
