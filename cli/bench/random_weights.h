// Networks of the zoo with random weights: they cost what trained ones of that density and width cost.
#pragma once

#include "base/random.h"
#include "models/zoo.h"

namespace popcorn::cli {

struct RandomWeights {
  unsigned bits = 4;     ///< magnitudes below 2^(bits − 1); 1 = all weights are −1 or 1
  double density = 1.0;  ///< share of the weights that are not zero
};

/// Batch normalisation is left out (it folds away), an average is a sum.
models::IntegerNetwork with_random_weights(const models::ZooNetwork& zoo, const RandomWeights& weights,
                                           Rng& rng);

}  // namespace popcorn::cli
