#include "paillier/weighted_sum/weighted_sum_digits.h"

#include <algorithm>
#include <cstdlib>

namespace popcorn::paillier {

namespace {

/// Terms of one place of the radix, largest magnitude first.
void append_place(std::vector<RowStep>& steps, std::vector<Term> terms, bool& total_loaded) {
  std::ranges::stable_sort(terms, [](const Term& a, const Term& b) { return a.magnitude > b.magnitude; });
  for (std::size_t i = 0; i < terms.size(); ++i) {
    steps.push_back(
        {i == 0 ? RowOp::load_sum : RowOp::add_sum, terms[i].source, terms[i].displacement, terms[i].index});
    const std::uint64_t next = i + 1 < terms.size() ? terms[i + 1].magnitude : 0;
    for (std::uint64_t unit = next; unit < terms[i].magnitude; ++unit) {
      steps.push_back({total_loaded ? RowOp::add_total : RowOp::load_total});
      total_loaded = true;
    }
  }
}

}  // namespace

RowDigits digits_of(std::span<const Weight> weights, Radix radix) {
  RowDigits digits;
  const std::int64_t base = std::int64_t{1} << radix.bits;
  for (const Weight& weight : weights) {
    const bool negative = weight.value < 0;
    std::int64_t rest = std::abs(weight.value);
    for (std::size_t place = 0; rest != 0; ++place) {
      std::int64_t digit = rest % base;
      if (radix.is_signed && digit > base / 2) digit -= base;
      rest = (rest - digit) / base;
      if (digits.size() <= place) digits.emplace_back();
      if (digit == 0) continue;
      const bool inverted = negative != (digit < 0);
      digits[place].push_back({inverted ? TermSource::inverse : weight.source, 0, weight.index,
                               static_cast<std::uint64_t>(std::abs(digit))});
    }
  }
  return digits;
}

std::vector<RowStep> bucket_walk(RowDigits digits, unsigned radix_bits) {
  std::vector<RowStep> steps;
  bool total_loaded = false;
  for (std::size_t place = digits.size(); place-- > 0;) {
    if (total_loaded) steps.insert(steps.end(), radix_bits, {RowOp::double_total});
    append_place(steps, std::move(digits[place]), total_loaded);
  }
  return steps;
}

bool multiplies_everywhere(RowOp op) noexcept {
  return op == RowOp::add_total || op == RowOp::double_total || op == RowOp::add_bias;
}

}  // namespace popcorn::paillier
