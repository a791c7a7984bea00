#include "protocols/ot/carry_chain.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/error.h"

namespace popcorn::protocols::ot {

namespace {

unsigned first_digit_bits(unsigned digit) {
  return table_cost(digit).bits;
}

unsigned later_digit_bits(unsigned digit) {
  return table_cost(digit + 1).bits;
}

/// Cheapest bits of `length` bits in exactly `digits` digits; the first of them begins the chain or not.
struct Cheapest {
  unsigned bits = std::numeric_limits<unsigned>::max();
  ChainPlan plan;
};

Cheapest cheapest(unsigned length, unsigned digits, bool begins) {
  // Costs are convex in the digit, so nearly equal digits are best among the later ones; only the first one
  // differs.
  Cheapest best;
  if (digits == 0 || length < digits || length > digits * kMaxDigit) return best;
  for (unsigned first = 1; first <= std::min(kMaxDigit, length); ++first) {
    Cheapest candidate;
    candidate.bits = begins ? first_digit_bits(first) : later_digit_bits(first);
    candidate.plan = {first};
    const unsigned rest = length - first;
    const unsigned others = digits - 1;
    if (others == 0 ? rest != 0 : rest < others || rest > others * kMaxDigit) continue;
    for (unsigned i = 0; i < others; ++i) {
      const unsigned digit = rest / others + (i < rest % others ? 1 : 0);
      candidate.bits += later_digit_bits(digit);
      candidate.plan.push_back(digit);
    }
    if (candidate.bits < best.bits) best = candidate;
  }
  return best;
}

Cheapest cheapest_up_to(unsigned length, unsigned digits, bool begins) {
  Cheapest best;
  for (unsigned count = 1; count <= digits; ++count) {
    Cheapest candidate = cheapest(length, count, begins);
    if (candidate.bits < best.bits) best = std::move(candidate);
  }
  return best;
}

[[noreturn]] void too_few(unsigned length, unsigned digits) {
  throw UsageError("ot.chain", "a carry over " + std::to_string(length) + " bits does not fit " +
                                   std::to_string(digits) + " digits of at most " +
                                   std::to_string(kMaxDigit));
}

}  // namespace

ChainPlan plan_chain(unsigned length, unsigned digits) {
  Cheapest best = cheapest_up_to(length, digits == 0 ? length : digits, true);
  if (best.plan.empty()) too_few(length, digits);
  return std::move(best.plan);
}

ChainPlan plan_chain_with_cut(unsigned length, unsigned cut, unsigned digits) {
  if (cut == 0 || cut >= length) return plan_chain(length, digits);
  const unsigned most = digits == 0 ? length : digits;
  Cheapest best;
  for (unsigned low = 1; low < most; ++low) {
    const Cheapest below = cheapest(cut, low, true);
    Cheapest above = cheapest_up_to(length - cut, most - low, false);
    if (below.plan.empty() || above.plan.empty() || below.bits + above.bits >= best.bits) continue;
    best.bits = below.bits + above.bits;
    best.plan = below.plan;
    best.plan.insert(best.plan.end(), above.plan.begin(), above.plan.end());
  }
  if (best.plan.empty()) too_few(length, digits);
  return std::move(best.plan);
}

ShareCost chain_cost(const ChainPlan& plan) {
  ShareCost cost;
  for (std::size_t i = 0; i < plan.size(); ++i) cost = cost + table_cost(plan[i] + (i > 0 ? 1 : 0));
  return cost;
}

ChainTransfers chain_transfers(const ChainPlan& plan) {
  ChainTransfers transfers;
  for (std::size_t i = 0; i < plan.size(); ++i)
    (i % 2 == 0 ? transfers.even : transfers.odd) += plan[i] + (i > 0 ? 1 : 0);
  return transfers;
}

Words carry_choices(const Words& addends, unsigned shift, unsigned digit, const Words* state) {
  Words choices(addends.size());
  for (std::size_t j = 0; j < choices.size(); ++j) {
    choices[j] =
        ((addends[j] >> shift) & low_bits(digit)) | (state != nullptr ? ((*state)[j] & 1U) << digit : 0);
  }
  return choices;
}

Words carry_tables(const Words& addends, unsigned shift, unsigned digit, const Words* state,
                   std::uint32_t carry_in) {
  // Entry v of half s: whether v + own digit + carry ≥ 2^digit, the carry being own share ⊕ s.
  const unsigned values = 1U << digit;
  const std::uint32_t all = low_bits(values);
  const auto ones_from = [&](std::uint32_t added) {  // v ≥ values − added
    return static_cast<std::uint32_t>(std::uint64_t{all} << (values - added)) & all;
  };
  Words tables(addends.size());
  for (std::size_t j = 0; j < tables.size(); ++j) {
    const std::uint32_t own = (addends[j] >> shift) & low_bits(digit);
    const std::uint32_t carry = state != nullptr ? (*state)[j] & 1U : carry_in;
    tables[j] = ones_from(own + carry);
    if (state != nullptr) tables[j] |= ones_from(own + (carry ^ 1U)) << values;
  }
  return tables;
}

Dialogue<Words> carry_chain(TransferParty& party, bool sends, const Words& addends, const ChainPlan& plan,
                            std::uint32_t carry_in) {
  Words carry;
  unsigned shift = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const Words* const state = i > 0 ? &carry : nullptr;
    const unsigned b = plan[i] + (i > 0 ? 1 : 0);
    Words next;
    if (sends == (i % 2 == 0)) {
      const Words tables = carry_tables(addends, shift, plan[i], state, carry_in);
      next = co_await send_tables(party, tables, b);
    } else {
      const Words choices = carry_choices(addends, shift, plan[i], state);
      next = co_await receive_tables(party, choices, b);
    }
    carry = std::move(next);
    shift += plan[i];
  }
  co_return carry;
}

}  // namespace popcorn::protocols::ot
