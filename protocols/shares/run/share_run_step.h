// Interactive steps of a plan on both parties' words: one chunk of channels at a time, and arg-max.
#pragma once

#include "protocols/shares/plan/share_plan.h"

namespace popcorn::protocols::shares {

using ot::Dialogue;
using ot::TransferParty;
using ot::Words;

/// Widths behind the truncation, with `plane` values a channel.
ot::WordGroups groups_of(const InteractiveStep& step, const StepChunk& chunk, std::size_t plane);

/// Shares of the chunk's results, channel after channel in the chunk's order, modulo 2^step.ring.
/// @param words its operand's, in that order; @param lowest of a pending carry, else empty
Dialogue<Words> run_chunk(TransferParty& party, const ShareStep& step, const StepChunk& chunk,
                          const Words& words, const Words& lowest);

/// Who meets whom in a round of an arg-max.
struct Meetings {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;  ///< (earlier, later)
  /// For every value, group − 1 of pairs that it must win; repeated where its group has fewer. The sign says
  /// from which side: 2·pair, or 2·pair + 1 when it is the later.
  Places wins;
};
Meetings meetings_of(const ArgMaxRound& round);

/// Shares, modulo 2^(the step's ring), of the largest of K·x_i + K − 1 − i; its low digits name the index.
Dialogue<Words> run_arg_max(TransferParty& party, const ShareStep& step, const Words& logits);

}  // namespace popcorn::protocols::shares
