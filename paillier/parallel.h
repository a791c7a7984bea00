// Spreading independent work over the cores.
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <cstddef>

#include "base/loop_order.h"

namespace popcorn::paillier {

/// body(begin, end) over [0, count) in pieces of at most `grain`, on all cores of the current oneTBB arena.
template <typename Body>
void parallel_ranges(std::size_t count, std::size_t grain, const Body& body) {
  const LoopOrder order;
  tbb::parallel_for(
      tbb::blocked_range<std::size_t>(0, count, grain),
      [&](const tbb::blocked_range<std::size_t>& range) {
        const LoopOrder::Piece piece(order);
        body(range.begin(), range.end());
      },
      tbb::simple_partitioner());
}

}  // namespace popcorn::paillier
