// Loops over the values of a step, on all cores when there are many.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/parallel.h"

namespace popcorn::protocols::ot {

/// body(j) for every j below count.
template <typename Body>
void for_each_value(std::size_t count, const Body& body) {
  constexpr std::size_t kGrain = 16384;  // some tens of microseconds
  if (count <= kGrain) {
    for (std::size_t j = 0; j < count; ++j) body(j);
    return;
  }
  parallel_ranges(count, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j) body(j);
  });
}

/// Values that go through a step together: a few arrays of their words stay in the first-level cache.
inline constexpr std::size_t kValuesTogether = 1024;

/// body(first, values) for all of `count` in parts of at most kValuesTogether; each begins at a multiple of
/// it.
template <typename Body>
void for_each_part(std::size_t count, const Body& body) {
  const std::size_t parts = (count + kValuesTogether - 1) / kValuesTogether;
  const auto visit = [&](std::size_t begin, std::size_t end) {
    for (std::size_t part = begin; part < end; ++part) {
      const std::size_t first = part * kValuesTogether;
      body(first, std::min(kValuesTogether, count - first));
    }
  };
  constexpr std::size_t kGrain = 8;  // some tens of microseconds
  if (parts <= kGrain) {
    visit(0, parts);
  } else {
    parallel_ranges(parts, kGrain, visit);
  }
}

}  // namespace popcorn::protocols::ot
