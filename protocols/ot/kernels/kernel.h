// The symmetric work of random transfers (AES-128, trees, the 10-local code, pads, a polynomial hash) behind
// one interface. One file an instruction set; all give the same bytes, and every fast one is tested against
// the portable one.
//
// No branch or address depends on a value, except where a comment says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "protocols/ot/bits/block.h"

namespace popcorn::protocols::ot::kernels {

/// AES-128 under one key, in the kernel's own form. Wiped when it goes. Not thread-safe.
class AesKey {
 public:
  virtual ~AesKey() = default;
  AesKey(const AesKey&) = delete;
  AesKey& operator=(const AesKey&) = delete;

 protected:
  AesKey() = default;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string_view name() const noexcept = 0;
  /// By the processor and the operating system.
  virtual bool supported() const noexcept = 0;

  virtual std::unique_ptr<AesKey> key(Block key) const = 0;
  /// blocks[i] ← AES(blocks[i])
  virtual void encrypt(const AesKey& key, Block* blocks, std::size_t count) const = 0;
  /// out[i] ← AES(counter + i), the counter in the low word, little-endian
  virtual void stream(const AesKey& key, std::uint64_t counter, Block* out, std::size_t count) const = 0;

  /// One level of a half-tree [GYW+23]: the children of nodes[0, n) in place, left ones in [0, n), right ones
  /// in [n, 2n): left = H(parent), right = parent ⊕ left with H(x) = π(σ(x)) ⊕ σ(x), σ(high, low) = (high ⊕
  /// low, high). On the last level the lowest bit of every child is cleared. Returns the exclusive or of the
  /// children of one side. n a power of two, at least 2.
  virtual Block expand_level(const AesKey& key, Block* nodes, std::size_t n, bool right_sum,
                             bool last) const = 0;

  /// out[i] ^= the exclusive or of 10 public places of `secret`, which has mask + 1 blocks: places i·10 …
  /// i·10 + 9 of the stream of 32-bit words of AES(counter), AES(counter + 1), … `count` a multiple of 32;
  /// count·5/2 blocks of the stream are used.
  virtual void encode(const AesKey& key, std::uint64_t counter, Block* out, const Block* secret,
                      std::uint32_t mask, std::size_t count) const = 0;

  /// out[i] ← the low 32 bits of H(rows[i] ⊕ offset, first + i), H(x, i) = π(π(x) ⊕ i) ⊕ π(x) [GKWY20,
  /// sec 7.4].
  virtual void pads(const AesKey& key, const Block* rows, Block offset, std::uint64_t first,
                    std::size_t count, std::uint32_t* out) const = 0;

  /// Σ blocks[i]·r^(count − i) + state·r^count in GF(2^128), bit i of a block the coefficient of x^i, modulo
  /// x^128 + x^7 + x^2 + x + 1. Constant-time in blocks and state; r is public.
  virtual Block polynomial(Block state, Block r, const Block* blocks, std::size_t count) const = 0;

 protected:
  Kernel() = default;
};

/// a·b in GF(2^128) as above; constant-time in a, variable in the public b.
Block gf_multiply(Block a, Block b) noexcept;

const Kernel& portable();
#if defined(POPCORN_HAVE_TRANSFER_KERNELS)
const Kernel& aesni();
const Kernel& vaes256();
const Kernel& vaes512();
#endif

/// All that are compiled in, preferred first; not all may run here.
std::span<const Kernel* const> all();
/// The one in use: chosen once, by POPCORN_KERNEL=portable or else the first that is supported and passes
/// self_test().
const Kernel& active();
/// Known answers of every operation, by comparison with fixed digests.
bool self_test(const Kernel& kernel);

}  // namespace popcorn::protocols::ot::kernels
