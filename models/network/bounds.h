// Static bounds: the interval of every channel of every tensor, from the weights and the input range.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::models {

/// Interval arithmetic in exact integers, one node at a time: nodes[index], whose shape is inferred and whose
/// operands' bounds are computed. Zero padding widens an interval only where a tap can fall outside the
/// input. Cost: one multiplication a non-zero weight and end.
/// @param spare_words how many words the bounds may still take
/// @throws InputError "model.value_too_large" above Limits::kValueBits, "model.too_many_channels" above
/// `spare_words`
Bounds node_bounds(const IntegerNetwork& network, std::size_t index, std::size_t spare_words);

}  // namespace popcorn::models
