// Rewrites that keep the function and lower the cost under encryption.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::models {

/// max(ReLU(a), ReLU(b)) = ReLU(max(a, b)): moves each ReLU whose only reader is a max-pool behind it, so
/// that it is applied once per window, unless the pool has more windows than inputs. Keeps node names and
/// calls finish(). Returns how many were moved.
std::size_t move_max_pool_before_relu(IntegerNetwork& network);

/// ReLU(a), ReLU(b) side by side = ReLU(a, b side by side): where all operands of a join are ReLUs that
/// nothing else reads, one ReLU behind the join takes their place, under the name of the first. One step
/// instead of several, and a max-pool that reads the join may then go before it. Calls finish(). Returns how
/// many joins were changed.
std::size_t move_relus_behind_concat(IntegerNetwork& network);

/// The same two with rescales that have a ReLU, which keep the order of values: the function stays, bit for
/// bit, when rounding to nearest. Of networks whose rings are still to be chosen: a pool takes a larger ring
/// before the rescale than behind it. @param pool node before which the rescale stands, or a join of
/// rescales. Calls finish(). Returns whether the pool could move.
bool move_max_pool_before_rescale(IntegerNetwork& network, std::size_t pool);

/// Takes out the ReLUs of values whose bounds say that they are never negative. Calls finish(). Returns how
/// many.
std::size_t drop_needless_relus(IntegerNetwork& network);

/// All rewrites, to a fixed point. What read_network() and the lowering call.
void optimise(IntegerNetwork& network);

}  // namespace popcorn::models
