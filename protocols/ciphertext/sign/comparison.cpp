#include "protocols/ciphertext/sign/comparison.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/ot/steps/carry_chain.h"

namespace popcorn::protocols {

using ot::TableShape;
using ot::TableWords;
using ot::Words;

namespace {

constexpr unsigned kLess = 1;
constexpr unsigned kEqual = 2;
constexpr unsigned kDigitBits = 4;
/// The chain adds x + ¬y + 1, which carries exactly when x ≥ y.
constexpr std::uint32_t kCarryIn = 1;

unsigned levels_of(std::size_t digits) {
  unsigned levels = 0;
  for (; digits > 1; digits = (digits + 1) / 2) ++levels;
  return levels;
}

/// Bits [position, position + bits) of every value.
void append_digit(const WideVector& values, unsigned position, unsigned bits, Words& out) {
  for (std::size_t j = 0; j < values.size(); ++j) {
    const auto words = values[j];
    const std::uint64_t sign = 0 - (words.back() >> 63);
    const auto word = [&](std::size_t k) { return k < words.size() ? words[k] : sign; };
    const std::size_t low = position / 64;
    const unsigned shift = position % 64;
    std::uint64_t digit = word(low) >> shift;
    if (shift + bits > 64) digit |= word(low + 1) << (64 - shift);
    out.push_back(static_cast<std::uint32_t>(digit) & ot::low_bits(bits));
  }
}

Words part(const Words& words, std::size_t first, std::size_t count) {
  const auto begin = words.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

void append(const Words& part, Words& out) {
  out.insert(out.end(), part.begin(), part.end());
}

/// Entry v of a digit's table: [v < y] and, where wanted, [v = y].
Words less_equal_tables(const Words& digits, const TableShape& shape) {
  Words tables(digits.size());
  for (std::size_t j = 0; j < tables.size(); ++j) {
    const std::uint32_t at = std::uint32_t{1} << digits[j];
    tables[j] = at - 1;
    if (shape.word_bits == 2) tables[j] |= at << shape.entries();
  }
  return tables;
}

void save_words(const Words& words, StateWriter& out) {
  const Bytes bytes(words.begin(), words.end());
  out.bytes(bytes);
}

Words restore_words(std::size_t count, std::uint8_t largest, StateReader& in) {
  const std::vector<std::uint8_t> bytes = in.small_values(count, largest);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

ComparisonPlan::ComparisonPlan(unsigned bits) {
  if (bits == 0) throw Error("comparison.bits", "integers of no bits cannot be compared");
  ComparisonPlan best = tree(bits);
  // As many digits as the exchanges of the tree have room for, and fewer where fewer exchanges suffice.
  const unsigned fewest = (bits + 2 * ot::kMaxDigit - 1) / (2 * ot::kMaxDigit) + 1;
  if (fewest <= best.exchanges()) {
    ComparisonPlan other = chain(bits, fewest);
    if (other.exchanges() < best.exchanges() || other.bits() <= best.bits()) best = std::move(other);
  }
  *this = std::move(best);
}

ComparisonPlan ComparisonPlan::tree(unsigned bits) {
  std::vector<unsigned> digits((bits + kDigitBits - 1) / kDigitBits, kDigitBits);
  digits.back() = bits - kDigitBits * static_cast<unsigned>(digits.size() - 1);
  return {false, std::move(digits)};
}

ComparisonPlan ComparisonPlan::chain(unsigned bits, unsigned exchanges) {
  return {true, ot::plan_chain(bits, 2 * (exchanges - 1), ot::kTransferBits)};
}

unsigned ComparisonPlan::flights() const noexcept {
  const auto digits = static_cast<unsigned>(digits_.size());
  return is_chain_ ? digits + 1 : 2 + 2 * levels_of(digits);
}

std::size_t ComparisonPlan::width(unsigned level) const noexcept {
  std::size_t width = digits_.size();
  for (unsigned k = 1; k < level; ++k) width = (width + 1) / 2;
  return width;
}

std::vector<TableShape> ComparisonPlan::requests(std::size_t count, unsigned flight) const {
  if (flight + 1 >= flights()) return {};
  if (is_chain_) return {{count, digits_[flight] + (flight > 0 ? 1 : 0), 1}};
  std::vector<TableShape> shapes;
  if (flight == 0) {
    for (std::size_t i = 0; i < digits_.size(); ++i) shapes.push_back({count, digits_[i], i == 0 ? 1U : 2U});
    return shapes;
  }
  const std::size_t pairs = width((flight + 1) / 2) / 2;
  shapes.push_back({count, 1, 1});
  if (pairs > 1) shapes.push_back({count * (pairs - 1), 1, 2});
  return shapes;
}

unsigned ComparisonPlan::bits() const {
  unsigned bits = 0;
  for (unsigned flight = 0; flight < flights(); ++flight) {
    for (const TableShape& shape : requests(1, flight)) {
      const auto count = static_cast<unsigned>(shape.count);
      bits += count * ((ot::kTransferBits + 1) * shape.choice_bits + (shape.entries() - 1) * shape.word_bits);
    }
  }
  return bits;
}

Comparison::Comparison(Party party, unsigned bits, const WideVector& values)
    : Comparison(party, bits, values.size()) {
  unsigned position = 0;
  for (const unsigned digit : plan_.digits()) {
    append_digit(values, position, digit, digits_);
    position += digit;
  }
  if (!plan_.is_chain() || party_ == Party::client) return;
  for (std::size_t i = 0; i < digits_.size(); ++i) digits_[i] ^= ot::low_bits(plan_.digits()[i / count_]);
}

std::vector<TableWords> Comparison::tables(unsigned flight) const {
  if (flight == 0) return {};
  if (!plan_.is_chain()) return flight == 1 ? digit_tables() : node_words(flight - 1, true);
  const unsigned digit = flight - 1;
  const Words* const carry = digit > 0 ? &shares_ : nullptr;
  return {{plan_.answers(count_, flight).front(), ot::carry_tables(part(digits_, digit * count_, count_), 0,
                                                                   plan_.digits()[digit], carry, kCarryIn)}};
}

std::vector<TableWords> Comparison::choices(unsigned flight) const {
  const std::vector<TableShape> shapes = plan_.requests(count_, flight);
  if (shapes.empty()) return {};
  if (!plan_.is_chain() && flight > 0) return node_words(flight, false);
  if (plan_.is_chain()) {
    return {{shapes.front(), ot::carry_choices(part(digits_, flight * count_, count_), 0,
                                               plan_.digits()[flight], flight > 0 ? &shares_ : nullptr)}};
  }
  std::vector<TableWords> choices;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    choices.push_back({shapes[i], part(digits_, i * count_, count_)});
  return choices;
}

std::vector<TableWords> Comparison::digit_tables() const {
  std::vector<TableWords> tables;
  for (const TableShape& shape : plan_.requests(count_, 0))
    tables.push_back({shape, less_equal_tables(part(digits_, tables.size() * count_, count_), shape)});
  return tables;
}

/// For what flight `flight` asks of a level: tables of 0 and of the lower node's shares; choices that are the
/// upper node's share of `equal`.
std::vector<TableWords> Comparison::node_words(unsigned flight, bool tables) const {
  std::vector<TableWords> result;
  std::size_t pair = 0;
  for (const TableShape& shape : plan_.requests(count_, flight)) {
    Words words;
    words.reserve(shape.count);
    for (const std::size_t last = pair + shape.count / count_; pair < last; ++pair) {
      for (std::size_t j = 0; j < count_; ++j) {
        const std::uint32_t low = shares_[2 * pair * count_ + j];
        const std::uint32_t equal_high = shares_[(2 * pair + 1) * count_ + j] >> 1;
        words.push_back(tables ? (low & kLess) << 1 | (low & kEqual) << 2 : equal_high);
      }
    }
    if (tables && shape.word_bits == 1) {
      for (std::uint32_t& word : words) word &= 3U;
    }
    result.push_back({shape, std::move(words)});
  }
  return result;
}

void Comparison::take(unsigned flight, std::vector<Words> shares) {
  if (flight == 0) return;
  if (plan_.is_chain()) {
    shares_ = std::move(shares.front());
  } else if (flight == 1) {
    shares_.clear();
    for (const Words& digit : shares) append(digit, shares_);
  } else if (flight % 2 == 0) {
    take_half(shares);
  } else {
    take_level(shares);
  }
}

/// What a party's own shares and one direction's transfers give of a level.
void Comparison::take_half(const std::vector<Words>& shares) {
  half_.clear();
  for (const Words& some : shares) append(some, half_);
  for (std::size_t i = 0; i < half_.size(); ++i) {
    const std::size_t pair = i / count_;
    const std::uint32_t low = shares_[2 * pair * count_ + i % count_];
    const std::uint32_t high = shares_[(2 * pair + 1) * count_ + i % count_];
    half_[i] ^= (low & (0 - (high >> 1))) ^ (high & kLess);
  }
}

/// Pairs become one, an odd one out on top stays.
void Comparison::take_level(const std::vector<Words>& shares) {
  Words other;
  for (const Words& some : shares) append(some, other);
  const std::size_t width = shares_.size() / count_;
  for (std::size_t i = 0; i < other.size(); ++i) half_[i] ^= other[i];
  if (width % 2 == 1) append(part(shares_, (width - 1) * count_, count_), half_);
  shares_ = std::move(half_);
  half_.clear();
}

std::vector<std::uint8_t> Comparison::less() const {
  const std::uint32_t flip = plan_.is_chain() && party_ == Party::server ? 1 : 0;
  std::vector<std::uint8_t> less;
  less.reserve(count_);
  for (const std::uint32_t share : shares_) less.push_back(static_cast<std::uint8_t>((share & kLess) ^ flip));
  return less;
}

void Comparison::save(unsigned flight, StateWriter& out) const {
  if (plan_.is_chain() || flight < 2) save_words(digits_, out);
  if (flight >= 2) save_words(shares_, out);
  if (flight >= 2 && flight % 2 == 1 && !plan_.is_chain()) save_words(half_, out);
}

Comparison Comparison::restore(Party party, unsigned bits, std::size_t count, unsigned flight,
                               StateReader& in) {
  Comparison comparison(party, bits, count);
  const ComparisonPlan& plan = comparison.plan_;
  if (plan.is_chain() || flight < 2) {
    for (const unsigned digit : plan.digits())
      append(restore_words(count, static_cast<std::uint8_t>(ot::low_bits(digit)), in), comparison.digits_);
  }
  if (flight < 2) return comparison;
  const std::size_t width = plan.is_chain() ? 1 : plan.width(flight / 2);
  comparison.shares_ = restore_words(count * width, plan.is_chain() ? kLess : kLess | kEqual, in);
  if (flight % 2 == 1 && !plan.is_chain())
    comparison.half_ = restore_words(width / 2 * count, kLess | kEqual, in);
  return comparison;
}

}  // namespace popcorn::protocols
