// A tiny data set and a network that learns it in seconds.
#pragma once

#include "compress/dataset.h"
#include "compress/training/training.h"
#include "models/network/zoo.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

/// Pictures (1×9×6) of three classes: a bright horizontal bar at the top, in the middle or at the bottom, on
/// noise.
compress::Dataset bars(SeededRng& rng, std::size_t count);

/// A convolution with batch-norm and ReLU, and a dense layer.
models::ZooNetwork bars_network();

/// Batches of 20, a learning rate that suits bars_network().
compress::TrainingOptions few_epochs(int epochs);

}  // namespace popcorn::test
