// Steps on additive shares x = a0 + a1 modulo 2^w (signed): sign, multiplexer, extension, ReLU with
// truncation, maximum, signed truncation, bits to words, re-share. Each is a coroutine that both parties run
// with the same shape; `first` of the party decides whose constants enter and who sends first. Costs are
// exact: *_cost() is what travels, beside the transfers' own bytes.
//
// Bounds that make a step right are found exhaustively by its test.
#pragma once

#include <cstdint>
#include <optional>

#include "protocols/ot/carry_chain.h"

namespace popcorn::protocols::ot {

/// Random transfers of a step for one value, by sender.
struct DirectedTransfers {
  unsigned from_first = 0, from_second = 0;
  friend DirectedTransfers operator+(DirectedTransfers a, DirectedTransfers b) {
    return {a.from_first + b.from_first, a.from_second + b.from_second};
  }
};

struct StepCost {
  unsigned bits = 0;  ///< a value, both directions
  DirectedTransfers transfers;
  unsigned flights = 0;
  /// Bytes on the wire of n values, both directions together: planes are whole bytes.
  std::uint64_t bytes(std::size_t n) const noexcept;
};

/// Shares modulo 2 of the carry etc. become shares modulo 2^bits: b0 ⊕ b1 = b0 + b1 − 2·b0·b1. One correlated
/// transfer.
Dialogue<Words> bit_to_word(TransferParty& party, bool sends, const Words& bits, unsigned word_bits);

/// Shares of b·x modulo 2^bits from shares of the bit and of x: one correlated transfer each way.
/// @param sends whether this party sends in the first of the two
Dialogue<Words> multiplex(TransferParty& party, bool sends, const Words& bits, const Words& values,
                          unsigned word_bits);

/// Shares modulo 2^from of 0 ≤ y < 2^(from − 1), to shares modulo 2^to. One correlated transfer of to − from
/// bits.
Dialogue<Words> extend_non_negative(TransferParty& party, bool sends, const Words& shares, unsigned from,
                                    unsigned to);

/// Carry of the packed neighbour below, as two more bits (protocols.md: x = d + ¬r + (1 − κ)): this party's
/// bit of the extra lowest position; the chain then begins there with carry 1. Null: no such position.
using LowestBits = const Words*;

struct ReluShape {
  unsigned ring = 16;         ///< w: x modulo 2^w, |x| < 2^(w−1)
  unsigned shift = 8;         ///< t ≥ 1; κ = w − t bits are kept
  unsigned result_ring = 16;  ///< w' ≥ κ of the result
  bool nearest = true;  ///< y = max(0, ⌊(x + 2^(t−1)) / 2^t⌋); else stochastic: ⌊x/2^t⌋ or one more, unbiased
  bool neighbour = false;  ///< x is a0 + a1 + c modulo 2^w with c = 1 ∧ the carry of LowestBits
  unsigned digits = 0;     ///< at most so many digits in the chain; 0: as few bits as possible
  unsigned kept() const noexcept { return ring - shift; }
};
/// Right for x < 2^(w−1) − 2^(t−1) (nearest), x < 2^(w−1) − 2^t (stochastic), x ≥ −2^(w−1).
Dialogue<Words> relu_truncate(TransferParty& party, const ReluShape& shape, const Words& shares,
                              LowestBits lowest = nullptr);
StepCost relu_truncate_cost(const ReluShape& shape);

/// Signed truncation, nearest: y = ⌊(x + 2^(t−1)) / 2^t⌋ modulo 2^(w'); −2^(w−2) − 2^(t−1) ≤ x < 2^(w−2) −
/// 2^(t−1).
Dialogue<Words> truncate_signed(TransferParty& party, const ReluShape& shape, const Words& shares,
                                LowestBits lowest = nullptr);
StepCost truncate_signed_cost(const ReluShape& shape);

/// Shares modulo 2^ring of max(x, y), |x − y| < 2^(ring − 1).
Dialogue<Words> maximum(TransferParty& party, unsigned ring, const Words& x, const Words& y,
                        unsigned digits = 0);
StepCost maximum_cost(unsigned ring, unsigned digits = 0);

/// Shares modulo 2 of [x ≥ 0].
Dialogue<Words> sign(TransferParty& party, unsigned ring, const Words& shares, unsigned digits = 0);
StepCost sign_cost(unsigned ring, unsigned digits = 0);

/// To the share that the second party chose beforehand: it sends the difference, the first adds it. w bits.
Dialogue<Words> re_share(TransferParty& party, unsigned ring, const Words& shares, const Words* chosen);
StepCost re_share_cost(unsigned ring);

/// Makes what a step of n values takes ready, both directions; the same order at both parties.
Dialogue<void> reserve(TransferParty& party, const StepCost& cost, std::size_t n);

}  // namespace popcorn::protocols::ot
