#include "base/wide_vector.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace popcorn {

namespace {

using Words = std::vector<std::uint64_t>;

void negate(std::span<std::uint64_t> words) {
  std::uint64_t carry = 1;
  for (std::uint64_t& word : words) {
    word = ~word + carry;
    carry = (carry != 0 && word == 0) ? 1 : 0;
  }
}

Words magnitude(std::span<const std::uint64_t> value) {
  Words words(value.begin(), value.end());
  if ((words.back() >> 63) != 0) negate(words);
  return words;
}

/// words = words * factor + addend; returns the carry out of the top word.
std::uint64_t multiply_add(std::span<std::uint64_t> words, std::uint64_t factor, std::uint64_t addend) {
  unsigned __int128 carry = addend;
  for (std::uint64_t& word : words) {
    carry += static_cast<unsigned __int128>(word) * factor;
    word = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  return static_cast<std::uint64_t>(carry);
}

std::uint64_t divide(std::span<std::uint64_t> words, std::uint64_t divisor) {
  unsigned __int128 remainder = 0;
  for (std::size_t k = words.size(); k-- > 0;) {
    remainder = (remainder << 64) | words[k];
    words[k] = static_cast<std::uint64_t>(remainder / divisor);
    remainder %= divisor;
  }
  return static_cast<std::uint64_t>(remainder);
}

}  // namespace

WideVector WideVector::from_int64(std::span<const std::int64_t> values, std::size_t limbs) {
  WideVector result(values.size(), limbs);
  for (std::size_t i = 0; i < values.size(); ++i) result.set_int64(i, values[i]);
  return result;
}

std::uint64_t WideVector::word(std::size_t i, std::size_t k) const {
  if (k < limbs_) return words_[i * limbs_ + k];
  return is_negative(i) ? ~std::uint64_t{0} : 0;
}

bool WideVector::is_zero(std::size_t i) const {
  return std::ranges::all_of((*this)[i], [](std::uint64_t word) { return word == 0; });
}

bool WideVector::fits_int64(std::size_t i) const {
  const std::uint64_t extension = (words_[i * limbs_] >> 63) != 0 ? ~std::uint64_t{0} : 0;
  return std::ranges::all_of((*this)[i].subspan(1), [&](std::uint64_t word) { return word == extension; });
}

void WideVector::set_int64(std::size_t i, std::int64_t value) {
  const std::span<std::uint64_t> words = (*this)[i];
  words[0] = static_cast<std::uint64_t>(value);
  std::ranges::fill(words.subspan(1), value < 0 ? ~std::uint64_t{0} : 0);
}

double WideVector::to_double(std::size_t i) const {
  const Words words = magnitude((*this)[i]);
  double value = 0;
  for (std::size_t k = words.size(); k-- > 0;) value = std::ldexp(value, 64) + static_cast<double>(words[k]);
  return is_negative(i) ? -value : value;
}

std::size_t WideVector::bit_length(std::size_t i) const {
  const std::span<const std::uint64_t> words = (*this)[i];
  const bool negative = is_negative(i);
  const std::uint64_t extension = negative ? ~std::uint64_t{0} : 0;
  std::size_t top = words.size();
  while (top > 0 && words[top - 1] == extension) --top;
  const std::size_t bits =
      top == 0 ? 0 : 64 * (top - 1) + static_cast<std::size_t>(std::bit_width(words[top - 1] ^ extension));
  if (!negative) return bits;
  // |x| = ~x + 1 has one bit more than ~x exactly when ~x is all ones, so when the low bits of x are zero.
  const std::uint64_t partial = words[bits / 64] & ((std::uint64_t{1} << (bits % 64)) - 1);
  const bool low_zero = partial == 0 && std::ranges::all_of(words.first(bits / 64),
                                                            [](std::uint64_t word) { return word == 0; });
  return low_zero ? bits + 1 : bits;
}

std::size_t WideVector::max_bit_length() const {
  std::size_t bits = 0;
  for (std::size_t i = 0; i < size_; ++i) bits = std::max(bits, bit_length(i));
  return bits;
}

std::string WideVector::to_decimal(std::size_t i) const {
  constexpr std::uint64_t kChunk = 10'000'000'000'000'000'000ULL;
  Words words = magnitude((*this)[i]);
  std::string digits;
  while (std::ranges::any_of(words, [](std::uint64_t word) { return word != 0; })) {
    std::uint64_t chunk = divide(words, kChunk);
    for (int d = 0; d < 19; ++d, chunk /= 10) digits.push_back(static_cast<char>('0' + chunk % 10));
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  if (digits.empty()) digits.push_back('0');
  if (is_negative(i)) digits.push_back('-');
  std::ranges::reverse(digits);
  return digits;
}

void WideVector::set_decimal(std::size_t i, std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) throw InputError("integer.invalid", "an integer has no digits");
  Words words(limbs_);
  for (const char c : text) {
    if (c < '0' || c > '9')
      throw InputError("integer.invalid", "an integer holds a character that is no digit");
    const bool carried = multiply_add(words, 10, static_cast<std::uint64_t>(c - '0')) != 0;
    if (carried) throw InputError("integer.too_large", "an integer exceeds its width");
  }
  if (negative) negate(words);
  const bool zero = std::ranges::all_of(words, [](std::uint64_t word) { return word == 0; });
  if (!zero && ((words.back() >> 63) != 0) != negative) {
    throw InputError("integer.too_large", "an integer exceeds its width");
  }
  std::ranges::copy(words, (*this)[i].begin());
}

WideVector WideVector::resized(std::size_t limbs) const {
  WideVector result(size_, limbs);
  for (std::size_t i = 0; i < size_; ++i) {
    for (std::size_t k = 0; k < limbs; ++k) result.words_[i * limbs + k] = word(i, k);
    const std::uint64_t extension = result.is_negative(i) ? ~std::uint64_t{0} : 0;
    for (std::size_t k = limbs; k < limbs_; ++k) {
      if (word(i, k) != extension)
        throw Error("integer.too_large", "a value does not fit the narrower width");
    }
    if (result.is_negative(i) != is_negative(i)) {
      throw Error("integer.too_large", "a value does not fit the narrower width");
    }
  }
  return result;
}

WideVector WideVector::slice(std::size_t first, std::size_t count) const {
  WideVector result(count, limbs_);
  std::ranges::copy(words().subspan(first * limbs_, count * limbs_), result.words_.begin());
  return result;
}

int WideVector::compare(const WideVector& x, std::size_t a, const WideVector& y, std::size_t b) {
  if (x.is_negative(a) != y.is_negative(b)) return x.is_negative(a) ? -1 : 1;
  for (std::size_t k = std::max(x.limbs_, y.limbs_); k-- > 0;) {
    const std::uint64_t u = x.word(a, k);
    const std::uint64_t v = y.word(b, k);
    if (u != v) return u < v ? -1 : 1;
  }
  return 0;
}

bool operator==(const WideVector& x, const WideVector& y) {
  if (x.size_ != y.size_) return false;
  for (std::size_t i = 0; i < x.size_; ++i) {
    if (WideVector::compare(x, i, y, i) != 0) return false;
  }
  return true;
}

}  // namespace popcorn
