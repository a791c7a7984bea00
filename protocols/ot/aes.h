// AES-128 as pseudo-random generator and as correlation-robust hash, through OpenSSL (AES-NI where there is).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "protocols/ot/block.h"

namespace popcorn::protocols::ot {

/// A stream of pseudo-random bytes from a seed: AES-128 in counter mode. Both parties of an extension read
/// the same stream, so a byte of it is one index of the extension and is never read twice.
class StreamGenerator {
 public:
  /// @param position in blocks of 16 bytes: where another generator of the same seed stopped
  explicit StreamGenerator(Block seed, std::uint64_t position = 0);
  ~StreamGenerator();
  StreamGenerator(StreamGenerator&&) noexcept;
  StreamGenerator& operator=(StreamGenerator&&) noexcept;
  /// The next out.size() bytes.
  void next(std::span<std::uint8_t> out);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// H(x, i) = π(π(x) ⊕ i) ⊕ π(x) with π = AES-128 under a fixed public key: tweakable correlation-robust in
/// the ideal- permutation model [GKWY20, sec 7.4]. Not thread-safe.
class FixedKeyHash {
 public:
  FixedKeyHash();
  ~FixedKeyHash();
  FixedKeyHash(const FixedKeyHash&) = delete;
  FixedKeyHash& operator=(const FixedKeyHash&) = delete;
  /// blocks[k] ← H(blocks[k], tweaks[k]).
  void hash(std::span<Block> blocks, std::span<const Block> tweaks);

 private:
  void permute(std::span<Block> blocks);
  struct Context;
  std::unique_ptr<Context> context_;
};

/// A seed for one use derived from a long-lived one: the first 128 bits of SHA-256(seed ‖ nonce).
Block derive_seed(Block seed, std::span<const std::uint8_t> nonce);

}  // namespace popcorn::protocols::ot
