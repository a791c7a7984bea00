// Vectors of signed integers of one fixed width: activations, biases, masks and plaintexts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popcorn {

/// `size()` signed integers, each of `limbs()` 64-bit words, little-endian two's complement, contiguous.
/// The values of an exact integer network grow with its depth (about 12 bits a layer), so a width is chosen
/// once for a tensor from its static bound and every value of it has that width.
class WideVector {
 public:
  WideVector() = default;
  /// `size` zeros of `limbs` words. limbs >= 1.
  WideVector(std::size_t size, std::size_t limbs) : size_(size), limbs_(limbs), words_(size * limbs) {}
  static WideVector from_int64(std::span<const std::int64_t> values, std::size_t limbs = 1);
  /// Words needed for signed values of magnitude below 2^bits.
  static std::size_t limbs_for_bits(std::size_t bits) { return bits / 64 + 1; }

  std::size_t size() const noexcept { return size_; }
  std::size_t limbs() const noexcept { return limbs_; }
  bool empty() const noexcept { return size_ == 0; }

  std::span<std::uint64_t> operator[](std::size_t i) { return {words_.data() + i * limbs_, limbs_}; }
  std::span<const std::uint64_t> operator[](std::size_t i) const {
    return {words_.data() + i * limbs_, limbs_};
  }
  std::span<std::uint64_t> words() noexcept { return words_; }
  std::span<const std::uint64_t> words() const noexcept { return words_; }

  bool is_negative(std::size_t i) const { return (words_[(i + 1) * limbs_ - 1] >> 63) != 0; }
  bool is_zero(std::size_t i) const;
  bool fits_int64(std::size_t i) const;
  /// Low 64 bits as a signed integer; exact when fits_int64(i).
  std::int64_t to_int64(std::size_t i) const { return static_cast<std::int64_t>(words_[i * limbs_]); }
  void set_int64(std::size_t i, std::int64_t value);
  /// Nearest double, for scales and probabilities.
  double to_double(std::size_t i) const;
  /// Bits of |value|: 0 for 0, 1 for ±1, 8 for ±255.
  std::size_t bit_length(std::size_t i) const;
  /// Largest bit_length of all values.
  std::size_t max_bit_length() const;
  std::string to_decimal(std::size_t i) const;
  /// @throws InputError "integer.invalid" for a foreign character, "integer.too_large" when it does not fit
  void set_decimal(std::size_t i, std::string_view text);

  /// The same values at another width. @throws Error "integer.too_large" when a value does not fit
  WideVector resized(std::size_t limbs) const;
  /// values[first, first + count)
  WideVector slice(std::size_t first, std::size_t count) const;

  /// -1, 0, 1 as value a of `x` is less than, equal to or greater than value b of `y`; widths may differ.
  static int compare(const WideVector& x, std::size_t a, const WideVector& y, std::size_t b);
  /// Equal sizes and equal values; widths may differ.
  friend bool operator==(const WideVector& x, const WideVector& y);

 private:
  std::uint64_t word(std::size_t i, std::size_t k) const;  // sign-extended past limbs()

  std::size_t size_ = 0;
  std::size_t limbs_ = 1;
  std::vector<std::uint64_t> words_;
};

}  // namespace popcorn
