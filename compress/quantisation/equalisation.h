// Channels in balance: the same function with every channel scaled so that quantisation steps suit it.
#pragma once

#include "compress/float_graph.h"

namespace popcorn::compress {

/// Where a layer's channels are so far apart that quantisation would cut a channel's step (see quantise()),
/// scales channels across layers [Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
/// Correction", ICCV 2019, sec 4.1]: outputs by 1/s and the weights that read them by s, through whatever
/// keeps a positive factor (ReLU, clips with their limits, pools, flatten), the same s for all operands of a
/// sum, the parts of a join each with its own. Factors are powers of two, so the function is exactly the same
/// in floats, underflow apart. Inputs, outputs of the network, signs and layers on a grid keep their scale.
/// Networks without such channels stay as they are. @param graph without batch-norm. Returns whether anything
/// changed
bool equalise_channels(FloatGraph& graph);

}  // namespace popcorn::compress
