// Folding of batch normalisation and other per-channel affine maps into their neighbours.
#pragma once

#include "compress/float_graph.h"

namespace popcorn::compress {

/// Rewrites the graph so that no batch_norm and no affine node is left, without changing the function (up to
/// float rounding): γ·(x − μ)/√(σ² + ε) + β is an affine map a·x + b.
/// It goes, in this order of preference,
///   into the convolution or dense layer that makes x, when nothing else reads x:  W ← a·W, bias ← a·bias +
///   b; into the normalisation of the input, when x is the graph's input and a > 0; through a flatten; into
///   the only reader, a convolution or dense layer without padding (or b = 0):  W ← W·a, bias ← bias + ΣW·b;
///   else it becomes a 1×1 convolution of each channel alone (of ±1 where only the sign of pooled sums of a
///   layer on a grid counts).
void fold_batch_norm(FloatGraph& graph);

}  // namespace popcorn::compress
