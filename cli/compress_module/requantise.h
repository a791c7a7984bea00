// The requantised form of an integer network, from the command line.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/compress_module/training_data.h"
#include "compress/quantisation/requantisation.h"
#include "models/network/integer_network.h"

namespace popcorn::cli {

struct RequantiseChoice {
  std::optional<int> activation_bits;          ///< unset: the network stays exact
  std::vector<std::string> layer_activations;  ///< "NAME=BITS"
  std::size_t images = 256;                    ///< training pictures to calibrate on, at most
};

/// The requantised network with its accuracy among the facts ("requantised_accuracy", "exact_accuracy",
/// "beyond_range": values beyond their range on the test pictures, as "N of M").
/// @param table receives a line a layer, for people; may be null
/// @throws as compress::requantise(); UsageError "option.pair"
models::IntegerNetwork requantise_network(const models::IntegerNetwork& exact, const TrainingData& data,
                                          const RequantiseChoice& choice, std::ostream* table);

/// A graph with nothing but what read_training_data() asks for.
compress::FloatGraph data_graph(const models::IntegerNetwork& network);

}  // namespace popcorn::cli
