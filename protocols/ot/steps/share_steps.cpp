#include "protocols/ot/steps/share_steps.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "protocols/ot/bits/bit_planes.h"

namespace popcorn::protocols::ot {

namespace {

unsigned top_bit(std::uint32_t word, unsigned ring) {
  return (word >> (ring - 1)) & 1U;
}

unsigned widest(const WordGroups& groups) {
  unsigned bits = 0;
  for (const WordGroup& group : groups) bits = std::max(bits, group.bits);
  return bits;
}

/// visit(group, first value, end) for groups beside each other.
template <class Groups, class Visit>
void for_each_group(const Groups& groups, const Visit& visit) {
  std::size_t first = 0;
  for (const auto& group : groups) {
    visit(group, first, first + group.count);
    first += group.count;
  }
}

/// Who asks gets the table's bit, the other one sends the table.
void enter_table(FlightLedger& ledger, unsigned b, std::size_t n) {
  const ShareCost cost = table_cost(b);
  const bool asks = ledger.first_asks;
  ledger.message(asks, b * plane_bytes(n));
  ledger.message(!asks, (cost.bits - b) * plane_bytes(n));
  ledger.transfers(!asks, std::uint64_t{cost.transfers} * n);
}

void enter_correlated(FlightLedger& ledger, const WordGroups& groups) {
  const bool asks = ledger.first_asks;
  const std::size_t n = value_count(groups);
  ledger.message(asks, plane_bytes(n));
  ledger.message(!asks, word_bytes(groups));
  ledger.transfers(!asks, n);
}

/// Digits of the wanted width, or as few as there can be.
ChainPlan plan_within(unsigned length, const std::vector<unsigned>& cuts, unsigned digit_bits) {
  if (digit_bits == 0) return plan_chain_with_cuts(length, cuts);
  const unsigned digits = (length + digit_bits - 1) / digit_bits;
  unsigned least = 0;
  unsigned from = 0;
  const auto reach = [&](unsigned to) {
    least += (to - from + kMaxDigit - 1) / kMaxDigit;
    from = to;
  };
  for (const unsigned cut : cuts) reach(cut);
  if (from < length) reach(length);
  return plan_chain_with_cuts(length, cuts, std::max(digits, least));
}

void check(const TruncationShape& shape) {
  bool right = shape.ring <= 30 && !shape.groups.empty() && (shape.nearest || !shape.neighbour) &&
               shape.most_kept >= 2;
  for (std::size_t i = 0; i < shape.groups.size(); ++i) {
    right = right && shape.groups[i].shift + 2 <= shape.ring;
    right = right && (i == 0 || shape.groups[i - 1].shift < shape.groups[i].shift);
  }
  if (!right) throw Error("ot.shape", "a step on shares has widths that it cannot have");
}

/// The addends of the chain and the shares that are shifted.
struct Prepared {
  Words addends;
  Words shifted;
};

/// Adds the public rounding constant to the first party's share.
Prepared prepare(const TransferParty& party, const TruncationShape& shape, const Words& shares,
                 LowestBits lowest) {
  Prepared prepared{Words(shares.size()), Words(shares.size())};
  for_each_group(shape.groups, [&](const ShiftGroup& group, std::size_t j, std::size_t end) {
    const std::uint32_t half = (std::uint32_t{1} << group.shift) >> 1;
    const std::uint32_t offset = shape.nearest ? half : low_bits(group.shift);
    const std::uint32_t mine = party.first ? offset : 0;
    for (; j < end; ++j) {
      const std::uint32_t share = (shares[j] + mine) & low_bits(shape.ring);
      prepared.shifted[j] = share >> group.shift;
      prepared.addends[j] = shape.neighbour ? (share << 1) | ((*lowest)[j] & 1U) : share;
    }
  });
  return prepared;
}

/// A chain that is left, at each group's cut, by the carry into its kept digits.
struct CutChain {
  ChainPlan plan;
  unsigned lowest;  ///< positions below the value's own
  std::size_t group_at(const TruncationShape& shape, unsigned position) const {
    std::size_t i = 0;
    while (i < shape.groups.size() && shape.groups[i].shift + lowest != position) ++i;
    return i;
  }
};

CutChain cut_chain(const TruncationShape& shape, bool to_the_top) {
  CutChain chain{{}, shape.neighbour ? 1U : 0U};
  std::vector<unsigned> cuts;
  for (const ShiftGroup& group : shape.groups) {
    if (group.shift + chain.lowest > 0) cuts.push_back(group.shift + chain.lowest);
  }
  const unsigned length =
      to_the_top ? shape.ring - 1 + chain.lowest : shape.groups.back().shift + chain.lowest;
  if (length > 0) chain.plan = plan_within(length, cuts, shape.digit_bits);
  return chain;
}

/// Carries of groups on their way from shared bits to words: they travel beside the chain's next digits.
class Conversions {
 public:
  Conversions(TransferParty& party, const TruncationShape& shape, Words& shifted)
      : party_(party), shape_(shape), shifted_(shifted) {}

  /// The carry into this group's digits is shared now; this party asked for the last digit or sent it.
  void begin(std::size_t group, bool asked, const Words& carry) {
    Asked& mine = asked ? asked_ : owed_;
    mine.group = group;
    mine.bits.assign(carry.begin() + static_cast<std::ptrdiff_t>(first(group)),
                     carry.begin() + static_cast<std::ptrdiff_t>(first(group) + shape_.groups[group].count));
    if (asked) mine.pads = ask_correlated(party_, mine.bits);
  }
  /// What was asked for longest ago comes first.
  Dialogue<void> settle() {
    if (asked_.group) {
      const WordGroups groups = width(*asked_.group);
      const Words words = co_await hear_correlated(party_, asked_.bits, std::move(asked_.pads), groups);
      add(*asked_.group, words);
      asked_.group.reset();
    }
    if (owed_.group) {
      const WordGroups groups = width(*owed_.group);
      Words differences(owed_.bits.size());
      for (std::size_t j = 0; j < differences.size(); ++j) differences[j] = 1 - 2 * (owed_.bits[j] & 1U);
      Words words = co_await send_correlated(party_, differences, groups);
      for (std::size_t j = 0; j < words.size(); ++j) words[j] = (owed_.bits[j] & 1U) - words[j];
      add(*owed_.group, words);
      owed_.group.reset();
    }
  }

 private:
  struct Asked {
    std::optional<std::size_t> group;
    Words bits;
    Words pads;
  };
  std::size_t first(std::size_t group) const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < group; ++i) sum += shape_.groups[i].count;
    return sum;
  }
  WordGroups width(std::size_t group) const { return {shape_.kept()[group]}; }
  void add(std::size_t group, const Words& words) {
    std::uint32_t* const to = shifted_.data() + first(group);
    for (std::size_t j = 0; j < words.size(); ++j) to[j] += words[j];
  }

  TransferParty& party_;
  const TruncationShape& shape_;
  Words& shifted_;
  Asked asked_;  ///< by this party, not heard yet
  Asked owed_;   ///< what the other party asks for beside its next answer
};

/// The carry over the whole chain. Where it is cut, the carry there is added to `shifted` as a word;
/// `conversions` may still be under way.
Dialogue<Words> run_chain(TransferParty& party, const TruncationShape& shape, const CutChain& chain,
                          const Words& addends, Conversions& conversions) {
  Words carry;
  unsigned shift = 0;
  for (std::size_t i = 0; i < chain.plan.size(); ++i) {
    const unsigned digit = chain.plan[i];
    const Words* const state = i > 0 ? &carry : nullptr;
    const unsigned b = digit + (i > 0 ? 1 : 0);
    const bool asks = party.asks();
    Words next;
    if (asks) {
      const Words choices = carry_choices(addends, shift, digit, state);
      Words pads = ask_tables(party, choices, b);
      co_await conversions.settle();
      next = co_await hear_tables(party, choices, std::move(pads), b);
    } else {
      const Words tables = carry_tables(addends, shift, digit, state, shape.neighbour ? 1 : 0);
      next = co_await send_tables(party, tables, b);
    }
    carry = std::move(next);
    shift += digit;
    party.pass_turn();
    const std::size_t group = chain.group_at(shape, shift);
    if (group < shape.groups.size()) conversions.begin(group, asks, carry);
  }
  co_return carry;
}

void enter_chain(FlightLedger& ledger, const TruncationShape& shape, const CutChain& chain) {
  const std::size_t n = value_count(shape.kept());
  std::optional<WordGroup> owed;  // by who asks for the next digit
  unsigned shift = 0;
  for (std::size_t i = 0; i < chain.plan.size(); ++i) {
    const bool asks = ledger.first_asks;
    if (owed) ledger.with_next(!asks, plane_bytes(owed->count));
    enter_table(ledger, chain.plan[i] + (i > 0 ? 1 : 0), n);
    if (owed) {
      ledger.with_next(asks, owed->bits * plane_bytes(owed->count));
      ledger.transfers(asks, owed->count);
    }
    owed.reset();
    shift += chain.plan[i];
    const std::size_t group = chain.group_at(shape, shift);
    if (group < shape.groups.size()) owed = shape.kept()[group];
    ledger.pass_turn();
  }
  if (!owed) return;
  ledger.message(!ledger.first_asks, plane_bytes(owed->count));
  ledger.message(ledger.first_asks, owed->bits * plane_bytes(owed->count));
  ledger.transfers(ledger.first_asks, owed->count);
}

void keep_widths(const WordGroups& groups, Words& words) {
  for_each_group(groups, [&](const WordGroup& group, std::size_t j, std::size_t end) {
    for (; j < end; ++j) words[j] &= low_bits(group.bits);
  });
}

/// multiplex() of words to which something may still be added before they are needed.
Dialogue<Words> multiplex_settled(TransferParty& party, const WordGroups& groups, const Words& bits,
                                  const Words& values, Conversions* conversions) {
  const bool asks = party.asks();
  Words pads;
  if (asks) pads = ask_correlated(party, bits);
  if (conversions != nullptr) co_await conversions->settle();
  Words result(bits.size());
  if (asks) result = co_await hear_correlated(party, bits, std::move(pads), groups);
  Words differences(bits.size());
  for (std::size_t j = 0; j < bits.size(); ++j) {
    const std::uint32_t bit = bits[j] & 1U;
    result[j] += values[j] * bit;
    differences[j] = values[j] - 2 * bit * values[j];
  }
  const Words base = co_await send_correlated(party, differences, groups);
  for (std::size_t j = 0; j < bits.size(); ++j) result[j] -= base[j];
  if (!asks) {
    const Words got = co_await receive_correlated(party, bits, groups);
    for (std::size_t j = 0; j < bits.size(); ++j) result[j] += got[j];
  }
  keep_widths(groups, result);
  co_return result;
}

/// Chains over values of several widths are aligned at their tops; what is below is zero.
Words aligned(const WordGroups& groups, const Words& words) {
  const unsigned top = widest(groups);
  Words result(words.size());
  for_each_group(groups, [&](const WordGroup& group, std::size_t j, std::size_t end) {
    for (; j < end; ++j) result[j] = (words[j] & low_bits(group.bits)) << (top - group.bits);
  });
  return result;
}

SignShape aligned_sign(const ValueShape& shape) {
  return {value_count(shape.groups), widest(shape.groups), false, shape.digit_bits};
}

/// Shares of the product of both parties' bits, one of each.
Dialogue<Words> product_to_word(TransferParty& party, const Words& bits, const WordGroups& groups) {
  const bool asks = party.asks();
  Words product;
  if (asks) {
    product = co_await receive_correlated(party, bits, groups);
  } else {
    product = co_await send_correlated(party, bits, groups);
    for (std::uint32_t& word : product) word = 0 - word;
  }
  party.pass_turn();
  co_return product;
}

/// Of the values that need more bits than they have: those from the first such group on.
struct Extended {
  std::size_t first = 0;
  WordGroups added;  ///< how many bits each gets
};

Extended extended(const WordGroups& groups, unsigned to) {
  Extended result;
  for (const WordGroup& group : groups) {
    if (result.added.empty() && group.bits >= to) {
      result.first += group.count;
    } else {
      result.added.push_back({group.count, group.bits < to ? to - group.bits : 0});
    }
  }
  return result;
}

}  // namespace

WordGroups TruncationShape::kept() const {
  WordGroups words;
  for (const ShiftGroup& group : groups)
    words.push_back({group.count, std::min(ring - group.shift, most_kept)});
  return words;
}

Dialogue<void> reserve(TransferParty& party, std::uint64_t from_first, std::uint64_t from_second) {
  const std::uint64_t to_send = party.first ? from_first : from_second;
  const std::uint64_t to_receive = party.first ? from_second : from_first;
  co_await reserve_both(party.wire, party.sender, to_send, party.receiver, to_receive, party.first);
}

Dialogue<Words> truncate(TransferParty& party, const TruncationShape& shape, const Words& shares,
                         LowestBits lowest) {
  check(shape);
  Prepared prepared = prepare(party, shape, shares, lowest);
  if (shape.nearest) {
    const CutChain chain = cut_chain(shape, false);
    Conversions conversions(party, shape, prepared.shifted);
    co_await run_chain(party, shape, chain, prepared.addends, conversions);
    co_await conversions.settle();
  }
  keep_widths(shape.kept(), prepared.shifted);
  co_return std::move(prepared.shifted);
}

void truncate(FlightLedger& ledger, const TruncationShape& shape) {
  check(shape);
  if (shape.nearest) enter_chain(ledger, shape, cut_chain(shape, false));
}

Dialogue<Words> truncate_and_rectify(TransferParty& party, const TruncationShape& shape, const Words& shares,
                                     LowestBits lowest) {
  check(shape);
  const WordGroups kept = shape.kept();
  Prepared prepared = prepare(party, shape, shares, lowest);
  if (!shape.nearest) {
    const ValueShape values{kept, shape.digit_bits};
    Words result = co_await rectify(party, values, prepared.shifted);
    co_return result;
  }
  Words bits(shares.size());
  for_each_group(shape.groups, [&](const ShiftGroup& group, std::size_t j, std::size_t end) {
    const unsigned left = shape.ring - group.shift;
    for (; j < end; ++j) bits[j] = top_bit(prepared.shifted[j], left) ^ (party.first ? 1U : 0U);
  });
  const CutChain chain = cut_chain(shape, true);
  Conversions conversions(party, shape, prepared.shifted);
  const Words carry = co_await run_chain(party, shape, chain, prepared.addends, conversions);
  for (std::size_t j = 0; j < bits.size(); ++j) bits[j] ^= carry[j];
  Words result = co_await multiplex_settled(party, kept, bits, prepared.shifted, &conversions);
  co_return result;
}

void truncate_and_rectify(FlightLedger& ledger, const TruncationShape& shape) {
  check(shape);
  const WordGroups kept = shape.kept();
  if (!shape.nearest) return rectify(ledger, {kept, shape.digit_bits});
  enter_chain(ledger, shape, cut_chain(shape, true));
  multiplex(ledger, kept);
}

Dialogue<Words> rectify(TransferParty& party, const ValueShape& shape, const Words& shares) {
  const SignShape top = aligned_sign(shape);
  const Words words = aligned(shape.groups, shares);
  const Words bits = co_await sign(party, top, words);
  Words result = co_await multiplex(party, shape.groups, bits, shares);
  co_return result;
}

void rectify(FlightLedger& ledger, const ValueShape& shape) {
  sign(ledger, aligned_sign(shape));
  multiplex(ledger, shape.groups);
}

Dialogue<Words> maximum(TransferParty& party, const ValueShape& shape, const Words& x, const Words& y) {
  Words difference(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) difference[j] = x[j] - y[j];
  Words result = co_await rectify(party, shape, difference);
  for (std::size_t j = 0; j < x.size(); ++j) result[j] += y[j];
  keep_widths(shape.groups, result);
  co_return result;
}

void maximum(FlightLedger& ledger, const ValueShape& shape) {
  rectify(ledger, shape);
}

Dialogue<Words> extend(TransferParty& party, const WordGroups& groups, unsigned to, const Words& shares,
                       bool is_signed) {
  const Extended more = extended(groups, to);
  Words result(shares);
  if (!more.added.empty()) {
    // wrap = 1 − (1 − top0)·(1 − top1): x is small, so either top bit says that the shares wrapped.
    Words clear(shares.size() - more.first);
    const std::uint32_t lift = party.first && is_signed ? 1 : 0;
    const auto lift_of = [&](unsigned bits) { return lift << (bits - 2); };
    for_each_group(groups, [&](const WordGroup& group, std::size_t j, std::size_t end) {
      for (; j < end; ++j) {
        result[j] = (shares[j] + lift_of(group.bits)) & low_bits(group.bits);
        if (j >= more.first) clear[j - more.first] = 1U - top_bit(result[j], group.bits);
      }
    });
    const Words product = co_await product_to_word(party, clear, more.added);
    const std::uint32_t one = party.first ? 1 : 0;
    for_each_group(groups, [&](const WordGroup& group, std::size_t j, std::size_t end) {
      for (; j < end; ++j) {
        if (group.bits < to) result[j] -= (one - product[j - more.first]) << group.bits;
        result[j] -= lift_of(group.bits);
      }
    });
  }
  for (std::uint32_t& word : result) word &= low_bits(to);
  co_return result;
}

void extend(FlightLedger& ledger, const WordGroups& groups, unsigned to) {
  const Extended more = extended(groups, to);
  if (more.added.empty()) return;
  enter_correlated(ledger, more.added);
  ledger.pass_turn();
}

Dialogue<Words> sign(TransferParty& party, const SignShape& shape, const Words& shares, LowestBits lowest) {
  const ChainPlan plan = plan_within(shape.ring - 1 + (shape.neighbour ? 1 : 0), {}, shape.digit_bits);
  Words addends(shares);
  if (shape.neighbour) {
    for (std::size_t j = 0; j < addends.size(); ++j) addends[j] = (shares[j] << 1) | ((*lowest)[j] & 1U);
  }
  Words carry = co_await carry_chain(party, addends, plan, shape.neighbour ? 1 : 0);
  for (std::size_t j = 0; j < carry.size(); ++j)
    carry[j] ^= top_bit(shares[j], shape.ring) ^ (party.first ? 1U : 0U);
  co_return carry;
}

void sign(FlightLedger& ledger, const SignShape& shape) {
  const ChainPlan plan = plan_within(shape.ring - 1 + (shape.neighbour ? 1 : 0), {}, shape.digit_bits);
  for (std::size_t i = 0; i < plan.size(); ++i) {
    enter_table(ledger, plan[i] + (i > 0 ? 1 : 0), shape.count);
    ledger.pass_turn();
  }
}

Dialogue<Words> conjunction(TransferParty& party, unsigned inputs, const Words& bits) {
  const bool asks = party.asks();
  Words result;
  if (asks) {
    result = co_await receive_tables(party, bits, inputs);
  } else {
    // All bits are 1 where the other party's shares are the complement of this one's.
    Words tables(bits.size());
    for (std::size_t j = 0; j < bits.size(); ++j)
      tables[j] = std::uint32_t{1} << (~bits[j] & low_bits(inputs));
    result = co_await send_tables(party, tables, inputs);
  }
  party.pass_turn();
  co_return result;
}

void conjunction(FlightLedger& ledger, unsigned inputs, std::size_t count) {
  enter_table(ledger, inputs, count);
  ledger.pass_turn();
}

Dialogue<Words> bit_to_word(TransferParty& party, const Words& bits, unsigned word_bits) {
  const WordGroups groups = {{bits.size(), word_bits}};
  Words product = co_await product_to_word(party, bits, groups);
  for (std::size_t j = 0; j < bits.size(); ++j)
    product[j] = ((bits[j] & 1U) - 2 * product[j]) & low_bits(word_bits);
  co_return product;
}

Dialogue<Words> carry_to_word(TransferParty& party, const Words& lowest, unsigned word_bits) {
  const WordGroups groups = {{lowest.size(), word_bits}};
  Words clear(lowest.size());
  for (std::size_t j = 0; j < lowest.size(); ++j) clear[j] = ~lowest[j] & 1U;
  Words product = co_await product_to_word(party, clear, groups);
  const std::uint32_t one = party.first ? 1 : 0;
  for (std::uint32_t& word : product) word = (one - word) & low_bits(word_bits);
  co_return product;
}

void bit_to_word(FlightLedger& ledger, std::size_t count, unsigned word_bits) {
  enter_correlated(ledger, {{count, word_bits}});
  ledger.pass_turn();
}

Dialogue<Words> multiplex(TransferParty& party, const WordGroups& groups, const Words& bits,
                          const Words& values) {
  Words result = co_await multiplex_settled(party, groups, bits, values, nullptr);
  co_return result;
}

void multiplex(FlightLedger& ledger, const WordGroups& groups) {
  enter_correlated(ledger, groups);
  ledger.pass_turn();
  enter_correlated(ledger, groups);
  ledger.pass_turn();
}

Dialogue<Words> re_share(TransferParty& party, unsigned ring, const Words& shares, const Words* chosen) {
  const std::size_t n = shares.size();
  party.first_asks = false;
  Words words(n);
  if (!party.first) {
    for (std::size_t j = 0; j < n; ++j) words[j] = shares[j] - (*chosen)[j];
    put_planes(words, 0, ring, party.wire.out());
    co_return *chosen;
  }
  const ByteView message = co_await party.wire.receive(ring * plane_bytes(n));
  get_planes(message, 0, ring, words);
  for (std::size_t j = 0; j < n; ++j) words[j] = (words[j] + shares[j]) & low_bits(ring);
  co_return words;
}

void re_share(FlightLedger& ledger, std::size_t count, unsigned ring) {
  ledger.message(false, ring * plane_bytes(count));
  ledger.first_asks = false;
}

}  // namespace popcorn::protocols::ot
