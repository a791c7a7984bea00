#include "protocols/ot/steps/carry_chain.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/error.h"
#include "protocols/ot/bits/value_loop.h"

namespace popcorn::protocols::ot {

namespace {

/// @param transfer bits that each random transfer costs by itself
unsigned digit_bits(unsigned digit, bool begins, unsigned transfer) {
  const ShareCost cost = table_cost(digit + (begins ? 0 : 1));
  return cost.bits + cost.transfers * transfer;
}

[[noreturn]] void too_few(unsigned length, unsigned digits) {
  throw UsageError("ot.chain", "a carry over " + std::to_string(length) + " bits does not fit " +
                                   std::to_string(digits) + " digits of at most " +
                                   std::to_string(kMaxDigit));
}

/// The cheapest way to a position with so many digits before it.
struct Reached {
  unsigned bits = kUnreached;
  unsigned last_digit = 0;
  static constexpr unsigned kUnreached = std::numeric_limits<unsigned>::max();
};

bool crosses(unsigned from, unsigned to, const std::vector<unsigned>& cuts) {
  return std::ranges::any_of(cuts, [&](unsigned cut) { return from < cut && cut < to; });
}

}  // namespace

ChainPlan plan_chain(unsigned length, unsigned digits, unsigned transfer) {
  return plan_chain_with_cuts(length, {}, digits, transfer);
}

ChainPlan plan_chain_with_cuts(unsigned length, const std::vector<unsigned>& cuts, unsigned digits,
                               unsigned transfer) {
  const unsigned most = digits == 0 ? length : std::min(digits, length);
  std::vector<std::vector<Reached>> reached(most + 1, std::vector<Reached>(length + 1));
  reached[0][0].bits = 0;
  for (unsigned count = 0; count < most; ++count) {
    for (unsigned from = 0; from < length; ++from) {
      if (reached[count][from].bits == Reached::kUnreached) continue;
      for (unsigned digit = 1; digit <= std::min(kMaxDigit, length - from); ++digit) {
        if (crosses(from, from + digit, cuts)) break;
        Reached& to = reached[count + 1][from + digit];
        const unsigned bits = reached[count][from].bits + digit_bits(digit, count == 0, transfer);
        if (bits < to.bits) to = {bits, digit};
      }
    }
  }
  unsigned count = 0;
  for (unsigned more = 1; more <= most; ++more) {
    if (reached[more][length].bits < reached[count][length].bits) count = more;
  }
  if (count == 0) too_few(length, digits);
  ChainPlan plan(count);
  for (unsigned at = length; count > 0; --count) {
    plan[count - 1] = reached[count][at].last_digit;
    at -= plan[count - 1];
  }
  return plan;
}

ShareCost chain_cost(const ChainPlan& plan) {
  ShareCost cost;
  for (std::size_t i = 0; i < plan.size(); ++i) cost = cost + table_cost(plan[i] + (i > 0 ? 1 : 0));
  return cost;
}

Words carry_choices(const Words& addends, unsigned shift, unsigned digit, const Words* state) {
  Words choices(addends.size());
  for_each_value(choices.size(), [&](std::size_t j) {
    choices[j] =
        ((addends[j] >> shift) & low_bits(digit)) | (state != nullptr ? ((*state)[j] & 1U) << digit : 0);
  });
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
  for_each_value(tables.size(), [&](std::size_t j) {
    const std::uint32_t own = (addends[j] >> shift) & low_bits(digit);
    const std::uint32_t carry = state != nullptr ? (*state)[j] & 1U : carry_in;
    tables[j] = ones_from(own + carry);
    if (state != nullptr) tables[j] |= ones_from(own + (carry ^ 1U)) << values;
  });
  return tables;
}

Dialogue<Words> carry_chain(TransferParty& party, const Words& addends, const ChainPlan& plan,
                            std::uint32_t carry_in) {
  Words carry;
  unsigned shift = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const Words* const state = i > 0 ? &carry : nullptr;
    const unsigned b = plan[i] + (i > 0 ? 1 : 0);
    Words next;
    if (!party.asks()) {
      const Words tables = carry_tables(addends, shift, plan[i], state, carry_in);
      next = co_await send_tables(party, tables, b);
    } else {
      const Words choices = carry_choices(addends, shift, plan[i], state);
      next = co_await receive_tables(party, choices, b);
    }
    carry = std::move(next);
    shift += plan[i];
    party.pass_turn();
  }
  co_return carry;
}

}  // namespace popcorn::protocols::ot
