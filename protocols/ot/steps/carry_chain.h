// The carry of a0 + a1 out of its low bits, shared by exclusive or: digits from the lowest, each a transfer
// of a small table whose choice is the receiver's digit and its share of the carry so far. No equality bits,
// no conjunctions.
//
// Roles alternate, so q digits take q + 1 flights. A first digit of b bits costs b + 2^b − 1 bits, a later
// one b + 2^(b+1).
#pragma once

#include <cstdint>
#include <vector>

#include "protocols/ot/steps/share_transfers.h"

namespace popcorn::protocols::ot {

/// Largest digit: with the carry's share a table has 32 entries.
inline constexpr unsigned kMaxDigit = 4;

/// Digits of a chain, lowest first.
using ChainPlan = std::vector<unsigned>;

/// The digits that cost the fewest bits for `length` ≥ 1 bits in at most `digits` digits (0: any number);
/// among equals the fewest digits. @param transfer bits that each random transfer costs by itself
/// @throws UsageError "ot.chain" when so few digits cannot hold them
ChainPlan plan_chain(unsigned length, unsigned digits = 0, unsigned transfer = 0);
/// The same with digits that end after each of `cuts` bits, where a carry is read on the way.
ChainPlan plan_chain_with_cuts(unsigned length, const std::vector<unsigned>& cuts, unsigned digits = 0,
                               unsigned transfer = 0);
ShareCost chain_cost(const ChainPlan& plan);

/// Who asks for the first digit is whose turn it is; the turn passes with every digit.
/// @param addends this party's, at least as long as the plan. @param carry_in public, 0 or 1
/// Shares of the carry, 0 or 1
Dialogue<Words> carry_chain(TransferParty& party, const Words& addends, const ChainPlan& plan,
                            std::uint32_t carry_in = 0);

/// One digit of it, for chains that are interrupted. @param state this party's share of the carry so far, or
/// null
Words carry_choices(const Words& addends, unsigned shift, unsigned digit, const Words* state);
Words carry_tables(const Words& addends, unsigned shift, unsigned digit, const Words* state,
                   std::uint32_t carry_in);

}  // namespace popcorn::protocols::ot
