// The step list of a network: which non-linear steps an inference runs, in which order, how large each is.
// Both sides know it; it is all the client learns about the network's inside (with the layer shapes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/integer_network.h"

namespace popcorn::protocols {

inline constexpr unsigned kStatisticalSecurity = 40;  ///< σ: masks are ℓ + 1 + σ bits
inline constexpr unsigned kBlindingBits = 128;        ///< κ of the blinded sign test

enum class StepKind : std::uint8_t {
  relu = 1,      ///< client answers [−β], [β·c] per neuron
  max_pool = 2,  ///< one level of a tournament; for the client the same as relu
  sign = 3,      ///< client answers [β]
  arg_max = 4,   ///< one level of the final tournament
};
std::string_view to_string(StepKind kind);

/// One step: `count` comparisons of integers below 2^bits in magnitude, all in one exchange.
struct Step {
  StepKind kind;
  std::string name;    ///< node name, with the level for a tournament: "pool1/2"
  std::size_t node;    ///< server side: index into IntegerNetwork::nodes; 0 at the client
  unsigned level = 0;  ///< of a tournament, from 0
  std::uint64_t count = 0;
  unsigned bits = 0;   ///< ℓ: |x| < 2^ℓ
};

/// Steps of a network in the order the protocol runs them. @throws InputError "model.too_wide" that names the node
/// when a value could exceed what a |N| = key_bits plaintext holds with its mask.
std::vector<Step> step_list(const models::IntegerNetwork& network, unsigned key_bits);

}  // namespace popcorn::protocols
