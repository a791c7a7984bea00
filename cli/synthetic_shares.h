// Synthetic networks in requantised form: they cost on shares what trained ones of that shape and density
// cost.
#pragma once

#include "models/network/zoo.h"

namespace popcorn::cli {

/// synthetic_network() with roundings to 8-bit activations and rings. Both are from the weights' squares, as
/// if all values were independent: shifts so that the values before a step have a deviation of 32 to 64
/// behind it, rings that hold six deviations with a margin of a bit. Signed values are rounded before weights
/// and joins.
models::IntegerNetwork requantised_synthetic_network(const models::ZooNetwork& zoo);

}  // namespace popcorn::cli
