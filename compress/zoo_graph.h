// A zoo network as a float graph with fresh weights.
#pragma once

#include "compress/float_graph.h"
#include "models/network/zoo.h"

namespace popcorn::compress {

/// Builds the layers in order; weights uniform with the variance 2 / fan-in of He et al. 2015, zero biases.
/// Layers of a network with binary weights get the grid {−1, 1}.
FloatGraph build_zoo_graph(const models::ZooNetwork& network, std::uint64_t seed);

/// A multi-layer perceptron on rows of numbers: dense layers of `hidden` units with ReLU between them.
models::ZooNetwork perceptron(std::int64_t columns, const std::vector<std::int64_t>& hidden,
                              std::int64_t classes);

}  // namespace popcorn::compress
