// A square modulus N² prepared for a kernel, and aligned buffers of groups.
#pragma once

#include <gmp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "paillier/kernels/kernel.h"

namespace popcorn::paillier::kernels {

/// 64-byte aligned words, wiped on destruction when `secret`.
class GroupBuffer {
 public:
  GroupBuffer() = default;
  explicit GroupBuffer(std::size_t words, bool secret = false);
  GroupBuffer(GroupBuffer&& other) noexcept;
  GroupBuffer& operator=(GroupBuffer&& other) noexcept;
  GroupBuffer(const GroupBuffer&) = delete;
  GroupBuffer& operator=(const GroupBuffer&) = delete;
  ~GroupBuffer();

  std::uint64_t* data() noexcept { return words_; }
  const std::uint64_t* data() const noexcept { return words_; }
  std::size_t size() const noexcept { return size_; }

 private:
  void release() noexcept;
  std::uint64_t* words_ = nullptr;
  std::size_t size_ = 0;
  bool secret_ = false;
};

/// N² for an odd N. Immutable; shared by everything that computes modulo N².
class Modulus {
 public:
  /// @param base N, little-endian limbs, odd, its top bit set, at most kMaxBaseBits. `secret` wipes it on
  /// destruction.
  static std::shared_ptr<const Modulus> create(const Kernel& kernel, std::span<const std::uint64_t> base,
                                               bool secret = false);

  const Kernel& kernel() const noexcept { return *kernel_; }
  const ModulusView& view() const noexcept { return view_; }
  /// n ← N.
  void base(mpz_ptr n) const;
  std::size_t base_bits() const noexcept { return base_bits_; }
  std::size_t base_limbs() const noexcept { return view_.limbs; }
  /// Limbs of a number modulo N².
  std::size_t limbs() const noexcept { return 2 * view_.limbs; }
  std::size_t group_words() const noexcept { return group_words_; }
  std::size_t lanes() const noexcept { return kernel_->lanes; }

  /// One group each: the residue of 1; R² mod N² (turns plain numbers into residues); plain 1 (turns them
  /// back).
  const std::uint64_t* one() const noexcept { return view_.one; }
  const std::uint64_t* to_residue() const noexcept { return constants_.data() + group_words(); }
  const std::uint64_t* from_residue() const noexcept { return constants_.data() + 2 * group_words(); }

  /// `lanes` numbers below N², limbs() limbs each, into residues: 2 multiplications.
  void import_numbers(std::uint64_t* group, const std::uint64_t* values) const;
  /// Residues into numbers below N²: 1 multiplication.
  void export_numbers(std::uint64_t* values, const std::uint64_t* group) const;
  /// Residues into the two base-N digits of their numbers, base_limbs() limbs each, u then w: 1
  /// multiplication.
  void export_digits(std::uint64_t* values, const std::uint64_t* group) const;
  /// The plain number `value` (non-negative, below N²), no residue, the same in every lane; slow.
  void plain(std::uint64_t* group, mpz_srcptr value) const;
  /// Residue of `value` (non-negative, below N²), the same in every lane; slow, for constants.
  GroupBuffer constant(mpz_srcptr value) const;

  // Shorthands for the kernel's functions on groups.
  void multiply(std::uint64_t* r, const std::uint64_t* a, const std::uint64_t* b) const {
    kernel_->multiply(view_, r, a, b);
  }
  void square(std::uint64_t* r, const std::uint64_t* a) const { kernel_->square(view_, r, a); }
  void multiply_secret(std::uint64_t* r, const std::uint64_t* a, const std::uint64_t* b) const {
    kernel_->multiply_secret(view_, r, a, b);
  }
  void square_secret(std::uint64_t* r, const std::uint64_t* a) const { kernel_->square_secret(view_, r, a); }
  void multiply_unit(std::uint64_t* r, const std::uint64_t* a, const std::uint64_t* unit) const {
    kernel_->multiply_unit(view_, r, a, unit);
  }
  void add(std::uint64_t* r, const std::uint64_t* a, const std::uint64_t* b) const {
    kernel_->add(view_, r, a, b);
  }
  void load(std::uint64_t* group, const std::uint64_t* values) const { kernel_->load(view_, group, values); }
  void store(std::uint64_t* values, const std::uint64_t* group) const {
    kernel_->store(view_, values, group);
  }
  void store_digits(std::uint64_t* values, const std::uint64_t* group) const {
    kernel_->store_digits(view_, values, group);
  }

  /// First digit of the operand at `place` of a batch (groups one after the other).
  std::uint64_t* operand(std::uint64_t* batch, std::size_t place) const {
    return batch + (place >> lane_bits_) * group_words_ + (place & (lanes() - 1));
  }
  const std::uint64_t* operand(const std::uint64_t* batch, std::size_t place) const {
    return batch + (place >> lane_bits_) * group_words_ + (place & (lanes() - 1));
  }

 private:
  Modulus() = default;
  const Kernel* kernel_ = nullptr;
  ModulusView view_{};

  std::size_t base_bits_ = 0;
  std::size_t group_words_ = 0;
  unsigned lane_bits_ = 0;  ///< lanes = 2^lane_bits: addresses of operands are taken by the million
  bool secret_ = false;
  GroupBuffer constants_;  ///< one, to_residue, from_residue, upper_to_residue
  GroupBuffer digits_;     ///< the arrays of view_
};

}  // namespace popcorn::paillier::kernels
