#include "tests/support/seeded_rng.h"

namespace popcorn::test {

void SeededRng::fill(std::span<std::uint8_t> out) {
  const std::scoped_lock lock(mutex_);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) word = engine_();
    out[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
}

std::int64_t SeededRng::between(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
}

}  // namespace popcorn::test
