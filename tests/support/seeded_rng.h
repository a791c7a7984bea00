// A reproducible generator for tests. Lives here so that production code cannot reach it.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>

#include "base/random.h"

namespace popcorn::test {

/// Deterministic bytes from a seed (Mersenne Twister: fine for tests, useless for secrets). Thread-safe.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<std::uint8_t> out) override;
  /// Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace popcorn::test
