// The one place that defines how a requantised network rounds and wraps.
#pragma once

#include <cstdint>

namespace popcorn::models {

/// 2^t − 1. t in [0, 62].
constexpr std::int64_t low_digits(unsigned t) noexcept {
  return (std::int64_t{1} << t) - 1;
}

/// ⌊(x + u) / 2^t⌋ for u in [0, 2^t): what every rounding is. |x| < 2^62, t in [0, 62].
constexpr std::int64_t drop_digits(std::int64_t x, unsigned t, std::int64_t u) noexcept {
  return (x + u) >> t;  // arithmetic: towards −∞, as C++20 defines it
}

/// What rounding to nearest adds, half a unit: ties go up.
constexpr std::int64_t half_unit(unsigned t) noexcept {
  return (std::int64_t{1} << t) >> 1;
}

/// The representative of x modulo 2^bits in [−2^(bits − 1), 2^(bits − 1)). bits in [1, 63].
constexpr std::int64_t wrap_to_ring(std::int64_t x, unsigned bits) noexcept {
  const unsigned unused = 64 - bits;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << unused) >> unused;
}

enum class RoundingMode {
  nearest,    ///< u = 2^(t−1): the network's definition
  stochastic  ///< u uniform in [0, 2^t): accuracy as served with fast rounding
};

/// How the rescales of one evaluation round. The same seed, input number, node and place always give the
/// same u, whatever evaluator or thread asks.
class Rounding {
 public:
  Rounding() = default;
  static Rounding stochastic(std::uint64_t seed) { return {RoundingMode::stochastic, seed}; }

  RoundingMode mode() const noexcept { return mode_; }

  /// The generator of one node's tensor. @param image number of the input in its data set
  class Stream {
   public:
    /// u for the value at `place`. t in [0, 62].
    std::int64_t addend(std::uint64_t place, unsigned t) const noexcept {
      if (mode_ == RoundingMode::nearest) return half_unit(t);
      return static_cast<std::int64_t>(mix(key_ + place * kGolden)) & low_digits(t);
    }

   private:
    friend class Rounding;
    Stream(RoundingMode mode, std::uint64_t key) : mode_(mode), key_(key) {}
    RoundingMode mode_;
    std::uint64_t key_;
  };
  Stream stream(std::uint64_t image, std::uint64_t node) const noexcept {
    return {mode_, mix(mix(mix(seed_) ^ image) ^ node)};
  }

 private:
  Rounding(RoundingMode mode, std::uint64_t seed) : mode_(mode), seed_(seed) {}

  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  /// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): statistics only, nothing secret hangs on it.
  static constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x += kGolden;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  RoundingMode mode_ = RoundingMode::nearest;
  std::uint64_t seed_ = 0;
};

}  // namespace popcorn::models
