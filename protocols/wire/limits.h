// Every bound on data from outside, in one place. Parsers refuse more before they allocate or loop.
#pragma once

#include <cstddef>
#include <cstdint>

namespace popcorn::protocols {

/// Comparisons of one step: a larger layer becomes several steps, so that neither side holds more than this
/// many unfinished comparisons (64 MiB of answers at 2048 bits).
inline constexpr std::uint64_t kDefaultChunk = 65536;

struct Limits {
  static constexpr std::uint64_t kStepCount = std::uint64_t{1} << 22;  ///< comparisons of one step
  static constexpr std::size_t kSteps = std::size_t{1} << 16;          ///< steps of one inference
  static constexpr std::uint64_t kElements = std::uint64_t{1} << 28;   ///< values of one message
  static constexpr std::uint64_t kCiphertextBytes = 4096;              ///< one ciphertext: |N| <= 16384 bits
  static constexpr std::uint64_t kMessageBytes = std::uint64_t{1} << 36;  ///< one message
  static constexpr std::uint64_t kOutputs = std::uint64_t{1} << 24;       ///< logits of one inference
  static constexpr std::size_t kBundleBytes = std::size_t{1} << 24;       ///< JSON of a client bundle
  static constexpr std::size_t kNameBytes = 512;                          ///< names, labels and identifiers
  static constexpr std::size_t kSignTests = 16;  ///< entries of ClientBundle::sign_tests
  static constexpr std::size_t kEngines = 16;    ///< entries of ClientBundle::engines
};

}  // namespace popcorn::protocols
