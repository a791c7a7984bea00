// A compression that was interrupted, on disk: what its finished phases gave. The epochs of the phase that
// runs are in a checkpoint of their own (checkpoint.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "compress/compression.h"

namespace popcorn::compress {

struct CompressionCheckpoint {
  enum class Phase : std::uint8_t {
    pruning = 0,   ///< nothing is finished; `graph` says nothing
    pruned = 1,    ///< the epochs of gradual pruning are done
    quantised = 2  ///< the weights are on their grids
  };
  std::string run;  ///< compression_run(); a checkpoint of another run is refused
  Phase phase = Phase::pruning;
  std::vector<VisitedPoint> points;
  double pruned_accuracy = 0;  ///< known from Phase::quantised on
  FloatGraph graph;            ///< its parameters, masks, grids and input rule after the phase
};

/// SHA-256, in hexadecimal, of all that decides the result: the network, the training pictures, the options.
std::string compression_run(const FloatGraph& graph, const Dataset& training,
                            const CompressionOptions& options);

/// @throws IoError
void write_compression_checkpoint(const std::filesystem::path& path, const CompressionCheckpoint& checkpoint);

/// Reads into `checkpoint`, which has the run's name and, as `graph`, the network whose parameters are
/// replaced: its structure must be the same. @throws IoError; InputError "checkpoint.damaged",
/// "checkpoint.other_run", both name the file
void read_compression_checkpoint(const std::filesystem::path& path, CompressionCheckpoint& checkpoint);

}  // namespace popcorn::compress
