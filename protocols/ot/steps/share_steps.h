// Steps on additive shares x = a0 + a1 modulo 2^w (signed): truncation, ReLU, maximum, sign, extension, bits
// and carries to words, re-share. Each is a coroutine that both parties run with the same shape; `first` of
// the party decides whose constants enter, its turn who asks first. What a step sends is entered into a
// FlightLedger by the function of the same name, exactly, beside the transfers' own bytes.
//
// Bounds that make a step right are found exhaustively by its test.
#pragma once

#include <cstdint>

#include "protocols/ot/steps/carry_chain.h"
#include "protocols/ot/steps/flight_ledger.h"

namespace popcorn::protocols::ot {

/// Carry of the packed neighbour below, as two more bits (x = d + ¬r + (1 − κ)): this party's bit of the
/// extra lowest position; the chain then begins there with carry 1. Null: no such position.
using LowestBits = const Words*;

/// Values beside each other that drop the same number of binary digits.
struct ShiftGroup {
  std::size_t count = 0;
  unsigned shift = 0;
};

/// The operand of a truncation: values of a layer, ordered by how many digits their channels drop.
struct TruncationShape {
  unsigned ring = 16;              ///< w ≤ 30
  std::vector<ShiftGroup> groups;  ///< ascending t, all different; w − t ≥ 2 digits are left
  bool nearest = true;  ///< ⌊(x + 2^(t−1)) / 2^t⌋; else stochastic: ⌊x/2^t⌋ or one more, unbiased
  bool neighbour = false;  ///< x is a0 + a1 + c modulo 2^w with c = 1 ∧ the carry of LowestBits; only nearest
  unsigned digit_bits = 0;  ///< chains of so wide digits, for few flights; 0: of those with the fewest bits
  unsigned most_kept = 30;  ///< ≥ 2; fewer than are left where results are known to need no more
  /// k = min(w − t, most_kept) digits of each group's results.
  WordGroups kept() const;
};

/// ⌊x / 2^t⌋, rounded as the shape says, modulo 2^k for each group: for every x.
Dialogue<Words> truncate(TransferParty& party, const TruncationShape& shape, const Words& shares,
                         LowestBits lowest = nullptr);
void truncate(FlightLedger& ledger, const TruncationShape& shape);

/// max(0, truncated), modulo 2^k. Right for −2^(v−1) ≤ x < 2^(v−1) − 2^(t−1) (nearest), x < 2^(v−1) − 2^t
/// (stochastic) with v = k + t; to nearest, at its lower end, as far as the ring goes.
Dialogue<Words> truncate_and_rectify(TransferParty& party, const TruncationShape& shape, const Words& shares,
                                     LowestBits lowest = nullptr);
void truncate_and_rectify(FlightLedger& ledger, const TruncationShape& shape);

/// How values are held: their widths, and the digits of chains over them.
struct ValueShape {
  WordGroups groups;
  unsigned digit_bits = 0;
};

/// max(0, x) of values whose ring has `bits`.
Dialogue<Words> rectify(TransferParty& party, const ValueShape& shape, const Words& shares);
void rectify(FlightLedger& ledger, const ValueShape& shape);

/// max(x, y), |x − y| < 2^(bits − 1).
Dialogue<Words> maximum(TransferParty& party, const ValueShape& shape, const Words& x, const Words& y);
void maximum(FlightLedger& ledger, const ValueShape& shape);

/// To shares modulo 2^to: of 0 ≤ x < 2^(bits − 1), or when `is_signed` of |x| ≤ 2^(bits−2), the upper end
/// excluded. Values that have as many bits already lose those above.
Dialogue<Words> extend(TransferParty& party, const WordGroups& groups, unsigned to, const Words& shares,
                       bool is_signed);
void extend(FlightLedger& ledger, const WordGroups& groups, unsigned to);

/// Operand of sign().
struct SignShape {
  std::size_t count = 0;
  unsigned ring = 16;
  bool neighbour = false;
  unsigned digit_bits = 0;
};
/// Shares modulo 2 of [x ≥ 0].
Dialogue<Words> sign(TransferParty& party, const SignShape& shape, const Words& shares,
                     LowestBits lowest = nullptr);
void sign(FlightLedger& ledger, const SignShape& shape);

/// Shares modulo 2 of the conjunction of `inputs` ≤ 5 bits: bit i of bits[j] is this party's share of the
/// i-th of value j.
Dialogue<Words> conjunction(TransferParty& party, unsigned inputs, const Words& bits);
void conjunction(FlightLedger& ledger, unsigned inputs, std::size_t count);

/// Shares modulo 2 become shares modulo 2^bits: b0 ⊕ b1 = b0 + b1 − 2·b0·b1.
Dialogue<Words> bit_to_word(TransferParty& party, const Words& bits, unsigned word_bits);
/// The carry of both parties' lowest bits and 1, their disjunction, as a word.
Dialogue<Words> carry_to_word(TransferParty& party, const Words& lowest, unsigned word_bits);
/// Both cost the same: one correlated transfer.
void bit_to_word(FlightLedger& ledger, std::size_t count, unsigned word_bits);

/// Shares of b·x modulo 2^bits from shares of the bit and of x: one correlated transfer each way.
Dialogue<Words> multiplex(TransferParty& party, const WordGroups& groups, const Words& bits,
                          const Words& values);
void multiplex(FlightLedger& ledger, const WordGroups& groups);

/// To the share that the second party chose beforehand: it sends the difference, the first adds it. Its turn
/// to ask is next.
Dialogue<Words> re_share(TransferParty& party, unsigned ring, const Words& shares, const Words* chosen);
void re_share(FlightLedger& ledger, std::size_t count, unsigned ring);

/// Makes transfers ready, so many from the first party and from the second.
Dialogue<void> reserve(TransferParty& party, std::uint64_t from_first, std::uint64_t from_second);

}  // namespace popcorn::protocols::ot
