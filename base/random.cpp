#include "base/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace popcorn {

namespace {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    constexpr std::size_t kMaxRequest = std::size_t{1} << 30;  // RAND_bytes takes an int
    while (!out.empty()) {
      const std::size_t count = std::min(out.size(), kMaxRequest);
      if (RAND_bytes(out.data(), static_cast<int>(count)) != 1) {
        throw Error("random.unavailable", "the system's random generator failed");
      }
      out = out.subspan(count);
    }
  }
};

}  // namespace

std::uint64_t Rng::next_u64() {
  std::array<std::uint8_t, 8> bytes{};
  fill(bytes);
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  const std::uint64_t excess = (0 - bound) % bound;  // 2^64 mod bound
  for (;;) {
    const std::uint64_t word = next_u64();
    if (word >= excess) return word % bound;
  }
}

Rng& system_rng() {
  static SystemRng rng;
  return rng;
}

}  // namespace popcorn
