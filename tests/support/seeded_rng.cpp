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
  // Unsigned, since the distance of two signed words need not be a signed word.
  const std::uint64_t distance = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const std::uint64_t step = distance == ~std::uint64_t{0} ? next_u64() : below(distance + 1);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + step);
}

}  // namespace popcorn::test
