// Rewrites that keep the function and lower the cost under encryption.
#pragma once

#include "models/integer_network.h"

namespace popcorn::models {

/// max(ReLU(a), ReLU(b)) = ReLU(max(a, b)): moves each ReLU whose only reader is a max-pool behind it, so
/// that it is applied once per window, unless the pool has more windows than inputs. Keeps node names and
/// calls finish(). Returns how many were moved.
std::size_t move_max_pool_before_relu(IntegerNetwork& network);

/// All rewrites, to a fixed point. What read_network() and the lowering call.
void optimise(IntegerNetwork& network);

}  // namespace popcorn::models
