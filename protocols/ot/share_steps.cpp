#include "protocols/ot/share_steps.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/ot/bit_planes.h"

namespace popcorn::protocols::ot {

namespace {

/// Transfers whose table or difference comes from the party that begins, and from the other.
DirectedTransfers directed(bool from_first, unsigned count) {
  return from_first ? DirectedTransfers{count, 0} : DirectedTransfers{0, count};
}

/// The first digit's table is sent by the second party: its digits are its own choice in later ones, so that
/// the first flight can be the first party's.
constexpr bool kFirstSendsDigit0 = false;

bool sends_digit(const TransferParty& party, std::size_t digit) {
  const bool first_sends = kFirstSendsDigit0 == (digit % 2 == 0);
  return party.first == first_sends;
}

void add(StepCost& cost, bool from_first, ShareCost piece) {
  cost.bits += piece.bits;
  cost.transfers = cost.transfers + directed(from_first, piece.transfers);
}

void add_chain(StepCost& cost, const ChainPlan& plan) {
  for (std::size_t i = 0; i < plan.size(); ++i)
    add(cost, kFirstSendsDigit0 == (i % 2 == 0), table_cost(plan[i] + (i > 0 ? 1 : 0)));
}

/// Who sends the table of the last digit; the pieces behind the chain begin with the other one, whose turn it
/// is.
bool first_sent_last(const ChainPlan& plan) {
  return kFirstSendsDigit0 == ((plan.size() - 1) % 2 == 0);
}

unsigned top_bit(std::uint32_t word, unsigned ring) {
  return (word >> (ring - 1)) & 1U;
}

struct Chain {
  ChainPlan plan;
  unsigned length = 0;
  unsigned cut = 0;  ///< 0: none
};

Chain relu_chain(const ReluShape& shape) {
  Chain chain;
  if (!shape.nearest) {
    chain.length = shape.kept() - 1;
    chain.plan = plan_chain(chain.length, shape.digits);
    return chain;
  }
  const unsigned lowest = shape.neighbour ? 1 : 0;
  chain.length = shape.ring - 1 + lowest;
  chain.cut = shape.shift + lowest;
  chain.plan = plan_chain_with_cut(chain.length, chain.cut, shape.digits);
  return chain;
}

void check_shape(const ReluShape& shape) {
  if (shape.ring > 31 || shape.shift == 0 || shape.kept() < 2 || shape.shift >= shape.ring ||
      shape.result_ring < shape.kept() || shape.result_ring > 32 || (shape.neighbour && !shape.nearest)) {
    throw Error("ot.shape", "a step on shares has widths that it cannot have");
  }
}

/// The addends of the chain and the shares that are shifted.
struct Prepared {
  Words addends;
  Words shifted;
};

/// Adds the public rounding constant to the first party's share.
Prepared prepare(const TransferParty& party, const ReluShape& shape, const Words& shares, LowestBits lowest,
                 std::uint32_t offset) {
  const std::size_t n = shares.size();
  Prepared prepared{Words(n), Words(n)};
  const std::uint32_t mine = party.first ? offset : 0;
  for (std::size_t j = 0; j < n; ++j) {
    const std::uint32_t share = (shares[j] + mine) & low_bits(shape.ring);
    prepared.shifted[j] = share >> shape.shift;
    if (!shape.nearest) {
      prepared.addends[j] = prepared.shifted[j];
    } else if (shape.neighbour) {
      prepared.addends[j] = (share << 1) | ((*lowest)[j] & 1U);
    } else {
      prepared.addends[j] = share;
    }
  }
  return prepared;
}

/// A carry on its way from shared bits to words, asked for and not heard yet: it travels beside the chain's
/// next digits.
struct Conversion {
  bool asked = false;
  Words choices;
  Words pads;
};

Dialogue<void> hear_conversion(TransferParty& party, const ReluShape& shape, Conversion& conversion,
                               Prepared& prepared) {
  if (!conversion.asked) co_return;
  conversion.asked = false;
  const Words word =
      co_await hear_correlated(party, conversion.choices, std::move(conversion.pads), shape.kept());
  for (std::size_t j = 0; j < word.size(); ++j) prepared.shifted[j] += word[j];
}

Dialogue<void> send_conversion(TransferParty& party, const ReluShape& shape, const Words& carry,
                               Prepared& prepared) {
  const Words word = co_await bit_to_word(party, true, carry, shape.kept());
  for (std::size_t j = 0; j < word.size(); ++j) prepared.shifted[j] += word[j];
}

/// The carry over the whole chain. Where it is cut, the carry there is added to `shifted` as a word; at the
/// party that asks for it, `conversion` may still be under way.
Dialogue<Words> chain_with_cut(TransferParty& party, const ReluShape& shape, const Chain& chain,
                               Prepared& prepared, Conversion& conversion) {
  const std::uint32_t carry_in = shape.neighbour ? 1 : 0;
  Words carry;
  unsigned shift = 0;
  bool answers_next = false;  // the other party asks for the cut's carry beside its next answer
  for (std::size_t i = 0; i < chain.plan.size(); ++i) {
    const unsigned digit = chain.plan[i];
    const Words* const state = i > 0 ? &carry : nullptr;
    const unsigned b = digit + (i > 0 ? 1 : 0);
    const bool sends = sends_digit(party, i);
    Words next;
    if (sends) {
      const Words tables = carry_tables(prepared.addends, shift, digit, state, carry_in);
      next = co_await send_tables(party, tables, b);
    } else {
      const Words choices = carry_choices(prepared.addends, shift, digit, state);
      Words pads = ask_tables(party, choices, b);
      if (answers_next) co_await send_conversion(party, shape, carry, prepared);
      answers_next = false;
      co_await hear_conversion(party, shape, conversion, prepared);
      next = co_await hear_tables(party, choices, std::move(pads), b);
    }
    carry = std::move(next);
    shift += digit;
    if (shift != chain.cut) continue;
    if (sends && i + 1 == chain.plan.size()) {
      co_await send_conversion(party, shape, carry, prepared);
    } else if (sends) {
      answers_next = true;
    } else {
      conversion.choices = carry;
      conversion.pads = ask_correlated(party, carry);
      conversion.asked = true;
    }
  }
  co_return carry;
}

/// multiplex() of the shifted words, with a conversion that may still be under way.
Dialogue<Words> multiplex_shifted(TransferParty& party, bool sends, const ReluShape& shape, const Words& bits,
                                  Prepared& prepared, Conversion& conversion) {
  const unsigned kept = shape.kept();
  Words result(bits.size());
  const auto differences = [&] {
    Words words(bits.size());
    for (std::size_t j = 0; j < words.size(); ++j) {
      const std::uint32_t bit = bits[j] & 1U;
      result[j] += prepared.shifted[j] * bit;
      words[j] = prepared.shifted[j] - 2 * bit * prepared.shifted[j];
    }
    return words;
  };
  if (sends) {
    const Words words = differences();
    const Words base = co_await send_correlated(party, words, kept);
    for (std::size_t j = 0; j < result.size(); ++j) result[j] -= base[j];
    const Words got = co_await receive_correlated(party, bits, kept);
    for (std::size_t j = 0; j < result.size(); ++j) result[j] += got[j];
  } else {
    Words pads = ask_correlated(party, bits);
    co_await hear_conversion(party, shape, conversion, prepared);
    const Words got = co_await hear_correlated(party, bits, std::move(pads), kept);
    const Words words = differences();
    const Words base = co_await send_correlated(party, words, kept);
    for (std::size_t j = 0; j < result.size(); ++j) result[j] += got[j] - base[j];
  }
  for (std::uint32_t& word : result) word &= low_bits(kept);
  co_return result;
}

StepCost chain_with_cut_cost(const ReluShape& shape, const Chain& chain) {
  StepCost cost;
  add_chain(cost, chain.plan);
  unsigned shift = 0;
  for (std::size_t i = 0; i < chain.plan.size(); ++i) {
    shift += chain.plan[i];
    if (shift == chain.cut) add(cost, kFirstSendsDigit0 == (i % 2 == 0), correlated_cost(shape.kept()));
  }
  return cost;
}

}  // namespace

std::uint64_t StepCost::bytes(std::size_t n) const noexcept {
  return std::uint64_t{bits} * plane_bytes(n);
}

Dialogue<void> reserve(TransferParty& party, const StepCost& cost, std::size_t n) {
  const std::size_t from_first = cost.transfers.from_first * n;
  const std::size_t from_second = cost.transfers.from_second * n;
  if (party.first) {
    co_await party.sender.reserve(party.wire, from_first);
    co_await party.receiver.reserve(party.wire, from_second);
  } else {
    co_await party.receiver.reserve(party.wire, from_first);
    co_await party.sender.reserve(party.wire, from_second);
  }
}

Dialogue<Words> bit_to_word(TransferParty& party, bool sends, const Words& bits, unsigned word_bits) {
  const std::size_t n = bits.size();
  const std::uint32_t mask = low_bits(word_bits);
  if (!sends) {
    Words got = co_await receive_correlated(party, bits, word_bits);
    co_return got;
  }
  Words differences(n);
  for (std::size_t j = 0; j < n; ++j) differences[j] = 1 - 2 * (bits[j] & 1U);
  Words base = co_await send_correlated(party, differences, word_bits);
  for (std::size_t j = 0; j < n; ++j) base[j] = ((bits[j] & 1U) - base[j]) & mask;
  co_return base;
}

Dialogue<Words> multiplex(TransferParty& party, bool sends, const Words& bits, const Words& values,
                          unsigned word_bits) {
  const std::size_t n = bits.size();
  const std::uint32_t mask = low_bits(word_bits);
  Words result(n);
  Words differences(n);
  for (std::size_t j = 0; j < n; ++j) {
    const std::uint32_t bit = bits[j] & 1U;
    result[j] = values[j] * bit;
    differences[j] = values[j] - 2 * bit * values[j];
  }
  for (unsigned turn = 0; turn < 2; ++turn) {
    if (sends == (turn == 0)) {
      const Words base = co_await send_correlated(party, differences, word_bits);
      for (std::size_t j = 0; j < n; ++j) result[j] -= base[j];
    } else {
      const Words got = co_await receive_correlated(party, bits, word_bits);
      for (std::size_t j = 0; j < n; ++j) result[j] += got[j];
    }
  }
  for (std::uint32_t& word : result) word &= mask;
  co_return result;
}

Dialogue<Words> extend_non_negative(TransferParty& party, bool sends, const Words& shares, unsigned from,
                                    unsigned to) {
  if (from == to) co_return shares;
  const std::size_t n = shares.size();
  // wrap = 1 − (1 − top0)·(1 − top1): y is small, so either top bit says that the shares wrapped.
  Words clear(n);
  for (std::size_t j = 0; j < n; ++j) clear[j] = 1U - top_bit(shares[j], from);
  Words product;
  if (sends) {
    product = co_await send_correlated(party, clear, to - from);
    for (std::uint32_t& word : product) word = 0 - word;
  } else {
    product = co_await receive_correlated(party, clear, to - from);
  }
  Words result(n);
  const std::uint32_t one = party.first ? 1 : 0;
  for (std::size_t j = 0; j < n; ++j) result[j] = (shares[j] - ((one - product[j]) << from)) & low_bits(to);
  co_return result;
}

Dialogue<Words> sign(TransferParty& party, unsigned ring, const Words& shares, unsigned digits) {
  const ChainPlan plan = plan_chain(ring - 1, digits);
  Words carry = co_await carry_chain(party, sends_digit(party, 0), shares, plan);
  for (std::size_t j = 0; j < carry.size(); ++j)
    carry[j] ^= top_bit(shares[j], ring) ^ (party.first ? 1U : 0U);
  co_return carry;
}

StepCost sign_cost(unsigned ring, unsigned digits) {
  StepCost cost;
  const ChainPlan plan = plan_chain(ring - 1, digits);
  add_chain(cost, plan);
  cost.flights = static_cast<unsigned>(plan.size()) + 1;
  return cost;
}

Dialogue<Words> relu_truncate(TransferParty& party, const ReluShape& shape, const Words& shares,
                              LowestBits lowest) {
  check_shape(shape);
  const Chain chain = relu_chain(shape);
  const std::uint32_t offset = shape.nearest ? std::uint32_t{1} << (shape.shift - 1) : low_bits(shape.shift);
  Prepared prepared = prepare(party, shape, shares, lowest, offset);
  const unsigned kept = shape.kept();
  Words bits(shares.size());
  for (std::size_t j = 0; j < bits.size(); ++j)
    bits[j] = top_bit(prepared.shifted[j], kept) ^ (party.first ? 1U : 0U);
  Conversion conversion;
  const Words carry = co_await chain_with_cut(party, shape, chain, prepared, conversion);
  for (std::size_t j = 0; j < bits.size(); ++j) bits[j] ^= carry[j];
  // Whoever sent the last table asks next.
  const bool sent_last = party.first == first_sent_last(chain.plan);
  const Words kept_words = co_await multiplex_shifted(party, !sent_last, shape, bits, prepared, conversion);
  Words result = co_await extend_non_negative(party, !sent_last, kept_words, kept, shape.result_ring);
  co_return result;
}

StepCost relu_truncate_cost(const ReluShape& shape) {
  check_shape(shape);
  const Chain chain = relu_chain(shape);
  StepCost cost = chain_with_cut_cost(shape, chain);
  const bool last = first_sent_last(chain.plan);
  const unsigned kept = shape.kept();
  add(cost, !last, correlated_cost(kept));
  add(cost, last, correlated_cost(kept));
  if (shape.result_ring > kept) add(cost, !last, correlated_cost(shape.result_ring - kept));
  cost.flights = static_cast<unsigned>(chain.plan.size()) + 1 + 2 + (shape.result_ring > kept ? 1 : 0);
  return cost;
}

Dialogue<Words> truncate_signed(TransferParty& party, const ReluShape& shape, const Words& shares,
                                LowestBits lowest) {
  check_shape(shape);
  // x + 2^(w−2) is not negative below 2^(w−1): truncated and extended, then the offset is taken off again.
  const std::uint32_t lift = std::uint32_t{1} << (shape.ring - 2);
  const std::uint32_t half = std::uint32_t{1} << (shape.shift - 1);
  Prepared prepared = prepare(party, shape, shares, lowest, lift + half);
  Chain chain;
  chain.length = shape.shift + (shape.neighbour ? 1 : 0);
  chain.cut = chain.length;
  chain.plan = plan_chain(chain.length, shape.digits);
  Conversion conversion;
  co_await chain_with_cut(party, shape, chain, prepared, conversion);
  co_await hear_conversion(party, shape, conversion, prepared);
  for (std::uint32_t& word : prepared.shifted) word &= low_bits(shape.kept());
  const bool sent_last = party.first == first_sent_last(chain.plan);
  Words result =
      co_await extend_non_negative(party, !sent_last, prepared.shifted, shape.kept(), shape.result_ring);
  if (party.first) {
    const std::uint32_t lifted = lift >> shape.shift;
    for (std::uint32_t& word : result) word = (word - lifted) & low_bits(shape.result_ring);
  }
  co_return result;
}

StepCost truncate_signed_cost(const ReluShape& shape) {
  check_shape(shape);
  Chain chain;
  chain.length = shape.shift + (shape.neighbour ? 1 : 0);
  chain.cut = chain.length;
  chain.plan = plan_chain(chain.length, shape.digits);
  StepCost cost = chain_with_cut_cost(shape, chain);
  const bool last = first_sent_last(chain.plan);
  const bool extended = shape.result_ring > shape.kept();
  if (extended) add(cost, !last, correlated_cost(shape.result_ring - shape.kept()));
  cost.flights = static_cast<unsigned>(chain.plan.size()) + 3 + (extended ? 1 : 0);
  return cost;
}

Dialogue<Words> maximum(TransferParty& party, unsigned ring, const Words& x, const Words& y,
                        unsigned digits) {
  Words difference(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) difference[j] = (x[j] - y[j]) & low_bits(ring);
  const Words bits = co_await sign(party, ring, difference, digits);
  const bool sent_last = party.first == first_sent_last(plan_chain(ring - 1, digits));
  Words result = co_await multiplex(party, !sent_last, bits, difference, ring);
  for (std::size_t j = 0; j < x.size(); ++j) result[j] = (result[j] + y[j]) & low_bits(ring);
  co_return result;
}

StepCost maximum_cost(unsigned ring, unsigned digits) {
  StepCost cost = sign_cost(ring, digits);
  const bool last = first_sent_last(plan_chain(ring - 1, digits));
  add(cost, !last, correlated_cost(ring));
  add(cost, last, correlated_cost(ring));
  cost.flights += 2;
  return cost;
}

Dialogue<Words> re_share(TransferParty& party, unsigned ring, const Words& shares, const Words* chosen) {
  const std::size_t n = shares.size();
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

StepCost re_share_cost(unsigned ring) {
  return {ring, {}, 1};
}

}  // namespace popcorn::protocols::ot
