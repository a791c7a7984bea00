// Networks of the zoo with random weights: they cost what trained ones of that density and width cost.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/network/zoo.h"

namespace popcorn::cli {

struct RandomWeights {
  unsigned bits = 4;     ///< magnitudes below 2^(bits − 1); 1 = all weights are −1 or 1
  double density = 1.0;  ///< share of the weights that are not zero
  std::vector<std::pair<std::string, double>> layers{};  ///< name and density of layers with their own
};

/// Batch normalisation is left out (it folds away), an average is a sum.
models::IntegerNetwork with_random_weights(const models::ZooNetwork& zoo, const RandomWeights& weights,
                                           Rng& rng);

/// "NAME[,density=D][,size=S][,repeat=K]": a zoo network, its weights at one density, on pictures of S×S,
/// with every convolution that keeps its shape (and the activation behind it) K times. The new name tells all
/// that.
/// @throws UsageError "zoo.unknown", "zoo.variation"
models::ZooNetwork zoo_variation(const std::string& text);

/// A zoo network for cost and speed alone: 5-bit random weights at its published densities, the same ones at
/// every call, rewritten as files are. Its name ends in "-synthetic" and its description and facts say so.
models::IntegerNetwork synthetic_network(const models::ZooNetwork& zoo);

}  // namespace popcorn::cli
