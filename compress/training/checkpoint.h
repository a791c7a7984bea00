// A training that was interrupted, on disk. Includes LibTorch.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <vector>

namespace popcorn::compress {

/// What a training needs to go on exactly as if it had never stopped: batches are a function of seed and
/// epoch.
struct Checkpoint {
  std::string run;  ///< the options of the run in words; a checkpoint of another run is refused
  int epochs_done = 0;
  std::int64_t steps = 0;           ///< of the optimiser
  std::vector<at::Tensor> tensors;  ///< parameters, statistics, moments, in a fixed order
};

/// @throws IoError
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// Reads into the tensors of `checkpoint`, which has the run's name and tensors of the right sizes.
/// @throws IoError; InputError "checkpoint.*" that names the file: damaged, or of another run
void read_checkpoint(const std::filesystem::path& path, Checkpoint& checkpoint);

}  // namespace popcorn::compress
