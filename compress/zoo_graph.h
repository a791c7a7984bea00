// A zoo network as a float graph with fresh weights.
#pragma once

#include "compress/float_graph.h"
#include "models/zoo.h"

namespace popcorn::compress {

/// Builds the layers in order; weights uniform with the variance 2 / fan-in of He et al. 2015, zero biases.
/// Layers of a network with binary weights get the grid {−1, 1}.
FloatGraph build_zoo_graph(const models::ZooNetwork& network, std::uint64_t seed);

}  // namespace popcorn::compress
