// Removing whole filters: structured pruning.
#pragma once

#include "compress/float_graph.h"

namespace popcorn::compress {

/// Removes the floor(share · outputs) filters of least Σw² from every convolution and dense layer whose
/// outputs reach only convolutions without groups and dense layers, through ReLU, clip, pools and flatten; at
/// least one filter stays. Their readers lose the inputs. A layer before a sum, a join, a sign or the output,
/// and one with groups or a grid, stays as it is. The network gets smaller: fewer activations, not only fewer
/// weights. The function is the one with these filters' outputs set to zero (Li et al. 2017).
/// @param graph without batch-norm
/// @throws UsageError "pruning.filters" for a share outside [0, 1)
void remove_filters(FloatGraph& graph, double share);

}  // namespace popcorn::compress
