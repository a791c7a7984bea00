// What the fuzzers of whole inferences have in common.
#pragma once

#include <cstdlib>

#include "tests/support/random_network.h"

namespace popcorn::test {

/// Ends the process, which a fuzzer takes for a finding.
inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Networks whose inferences take milliseconds with small keys.
inline RandomNetworkOptions smallest_networks() {
  RandomNetworkOptions small;
  small.nodes = 6;
  small.max_extent = 3;
  small.max_channels = 2;
  return small;
}

}  // namespace popcorn::test
