// How far the training of a checkpoint is, without LibTorch.
#pragma once

#include <filesystem>

namespace popcorn::compress {

/// Epochs that the training of a checkpoint has done; 0 without the file. @throws IoError, InputError
/// "checkpoint.damaged" that names the file
int epochs_in_checkpoint(const std::filesystem::path& path);

}  // namespace popcorn::compress
