// The step list of a network: which non-linear steps an inference runs, in which order, how large each is.
// Both sides know it; it is all the client learns about the network's inside (with the layer shapes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"
#include "protocols/wire/limits.h"

namespace popcorn::protocols {

enum class StepKind : std::uint8_t {
  relu = 1,      ///< client answers [−β], [β·c] per neuron
  max_pool = 2,  ///< one level of a tournament; for the client the same as relu
  sign = 3,      ///< client answers [β]
};
std::string_view to_string(StepKind kind);

/// One step: `count` comparisons of integers below 2^bits in magnitude, all in one exchange.
struct Step {
  StepKind kind;
  std::string name;  ///< node name, with the level of a tournament and the part of a large layer: "pool1/2#3"
  std::size_t node;  ///< server side: index into IntegerNetwork::nodes; 0 at the client
  unsigned level = 0;       ///< of a tournament, from 0
  std::uint64_t first = 0;  ///< server side: place of the first comparison in its level; not 0 in later parts
  std::uint64_t count = 0;
  unsigned bits = 0;  ///< ℓ: |x| < 2^ℓ, at least 1
};

/// Steps of a network in the order the protocol runs them, none with more than `chunk` comparisons: a larger
/// layer becomes several steps. Does not depend on a key. @throws InputError "model.*"
std::vector<Step> plan_steps(const models::IntegerNetwork& network, std::uint64_t chunk = kDefaultChunk);

}  // namespace popcorn::protocols
