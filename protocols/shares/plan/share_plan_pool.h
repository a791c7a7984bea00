// Pooling as rounds of pairs (maxima) or of small groups (disjunctions), the same for every channel's plane.
#pragma once

#include <cstdint>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::protocols::shares {

using Places = std::vector<std::uint32_t>;

/// One round: from an array of `size` values to one with the maxima of (left[i], right[i]), then the kept.
struct MaximumRound {
  std::size_t size = 0;
  Places left, right;
  Places kept;
  std::size_t result_size() const noexcept { return left.size() + kept.size(); }
};

/// Maxima of windows, first along rows, then along columns: fewer than window by window where they overlap.
struct MaximumRounds {
  std::vector<MaximumRound> rounds;
  Places order;  ///< place, behind the last round, of every output
};
MaximumRounds plan_maxima(const models::Window& window, const models::Shape& input,
                          const models::Shape& output);

/// One round: value i of the next array is the disjunction of members[i·inputs, (i + 1)·inputs), of which
/// some may be the same.
struct DisjunctionRound {
  unsigned inputs = 0;  ///< at most 5
  Places members;
};
/// Outputs are the last round's values. No rounds: `order` picks them.
struct DisjunctionRounds {
  std::vector<DisjunctionRound> rounds;
  Places order;
};
DisjunctionRounds plan_disjunctions(const models::Window& window, const models::Shape& input,
                                    const models::Shape& output);

}  // namespace popcorn::protocols::shares
