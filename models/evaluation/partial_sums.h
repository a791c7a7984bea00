// How large the sums inside a node can get: whether floating-point numbers hold them exactly.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::models {

/// An ℓ with |s| < 2^ℓ for every partial sum s of the node, in whatever order its terms are added, and for
/// every value that it reads. The smallest such ℓ up to 53 for the static bounds of the operands; a little
/// more may be returned beyond. A floating-point format with a mantissa of p bits computes the node exactly
/// when ℓ ≤ p. @param network finished. Cost: one addition a weight
unsigned partial_sum_bits(const IntegerNetwork& network, std::size_t node);

}  // namespace popcorn::models
