// Loops over the values of a step, on all cores when there are many.
#pragma once

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

}  // namespace popcorn::protocols::ot
