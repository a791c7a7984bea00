// A max-pool layer as a tournament: which elements meet in which level.
//
// max(a, b) = b + ReLU(a − b). All windows of the layer advance together, ⌈log2 k⌉ levels for windows of k
// elements. Elements of the padding are absent. Overlapping windows share work: the maximum over a window is
// the maximum over its rows of row maxima, and neighbouring windows have rows in common; rows first, columns
// first or neither is taken, whatever needs fewest comparisons (6 instead of 8 for 3×3 with stride 2).
#pragma once

#include <cstdint>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::protocols {

/// Values of the first level: the input tensor. Values of the next level: the winners in the order of the
/// comparisons, then the kept ones.
struct Tournament {
  struct Level {
    std::vector<std::uint32_t> left, right;  ///< places of the values that are compared
    std::vector<std::uint32_t> kept;         ///< places of the values that pass unchanged
  };
  std::vector<Level> levels;
  std::vector<std::uint32_t> result;  ///< place of each output among the values after the last level

  std::uint64_t comparisons() const noexcept;
};

/// @throws InputError "model.window" when a window holds padding only
Tournament plan_tournament(const models::Node& node, const models::Shape& input);

}  // namespace popcorn::protocols
