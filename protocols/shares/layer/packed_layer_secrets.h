// Plaintexts that are wiped when a scope ends, by an exception too.
#pragma once

#include "base/secret_bytes.h"
#include "base/wide_vector.h"

namespace popcorn::protocols::shares {

class WipedAtEnd {
 public:
  explicit WipedAtEnd(WideVector& values) noexcept : values_(values) {}
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;
  ~WipedAtEnd() {
    const auto words = values_.words();
    wipe({reinterpret_cast<std::uint8_t*>(words.data()), words.size_bytes()});
  }

 private:
  WideVector& values_;
};

}  // namespace popcorn::protocols::shares
