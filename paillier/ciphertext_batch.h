// A tensor's ciphertexts as one contiguous batch in the kernel's own form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace popcorn::paillier {

namespace kernels {
class Modulus;
}

/// `size()` residues modulo N² in Montgomery form, grouped by the kernel's lane count and interleaved within
/// a group (one lane a group on the portable kernel). Only the wire functions of Evaluator and KeyOwner
/// convert. Movable; copies are explicit (clone, gather) since a batch may hold gigabytes.
class CiphertextBatch {
 public:
  CiphertextBatch() = default;
  /// Uninitialised residues. Padding lanes of the last group are always defined (a unit).
  CiphertextBatch(std::shared_ptr<const kernels::Modulus> modulus, std::size_t size);
  CiphertextBatch(CiphertextBatch&&) noexcept = default;
  CiphertextBatch& operator=(CiphertextBatch&&) noexcept = default;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t memory_bytes() const noexcept;

  CiphertextBatch clone() const;
  /// Ciphertexts at the given places, in that order; places may repeat. Costs no multiplication.
  CiphertextBatch gather(std::span<const std::uint32_t> places) const;
  CiphertextBatch slice(std::size_t first, std::size_t count) const;
  /// All of `parts`, one after the other.
  static CiphertextBatch concat(std::span<const CiphertextBatch* const> parts);

  const kernels::Modulus& modulus() const noexcept { return *modulus_; }
  const std::shared_ptr<const kernels::Modulus>& shared_modulus() const noexcept { return modulus_; }
  std::size_t groups() const noexcept;
  /// Words of group g.
  std::uint64_t* group(std::size_t g) noexcept;
  const std::uint64_t* group(std::size_t g) const noexcept;

 private:
  struct AlignedFree {
    void operator()(std::uint64_t* words) const noexcept;
  };
  std::shared_ptr<const kernels::Modulus> modulus_;
  std::size_t size_ = 0;
  std::unique_ptr<std::uint64_t[], AlignedFree> words_;
};

}  // namespace popcorn::paillier
