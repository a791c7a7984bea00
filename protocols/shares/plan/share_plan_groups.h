// How many values at a time: of conjunctions, and of arg-max.
#pragma once

#include <cstddef>
#include <vector>

namespace popcorn::protocols::shares {

/// Inputs of a conjunction that one table holds.
inline constexpr unsigned kMostConjoined = 5;

/// Sizes of groups, round by round, that bring `count` values down to one: as few rounds as groups of at most
/// `most` ≥ 2 allow, and then as small groups as suffice. Empty for one value.
inline std::vector<unsigned> group_sizes(std::size_t count, unsigned most) {
  const auto rounds_with = [count](unsigned size) {
    std::size_t rounds = 0;
    for (std::size_t left = count; left > 1; left = (left + size - 1) / size) ++rounds;
    return rounds;
  };
  const std::size_t rounds = rounds_with(most);
  unsigned size = most;
  while (size > 2 && rounds_with(size - 1) == rounds) --size;
  return std::vector<unsigned>(rounds, size);
}

}  // namespace popcorn::protocols::shares
