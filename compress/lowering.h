// From a quantised float graph to the exact integer network.
#pragma once

#include "compress/float_graph.h"
#include "models/network/integer_network.h"

namespace popcorn::compress {

/// Every layer becomes integer weights round(w) and biases round(bias / u), where u is the real value of one
/// unit of its input; scales multiply along the graph. Average pools become sums, a clip two ReLUs:
/// min(max(x, 0), c) = c − max(c − max(x, 0), 0). Additions and concatenations get integer multipliers. The
/// ReLUs before max-pools move behind them. Biases of a layer
/// whose sign alone counts are rounded down: y + b ≥ 0 ⟺ y + ⌊b⌋ ≥ 0 for integers y.
/// @throws InputError "lowering.*" that names the node when a layer is not on a grid, or a kind has no
/// integer form
models::IntegerNetwork lower(const FloatGraph& graph);

}  // namespace popcorn::compress
