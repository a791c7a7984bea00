// One line an epoch on standard error, on a terminal only.
#pragma once

#include <functional>

#include "compress/training/training.h"

namespace popcorn::cli {

/// Prints phase, epoch, loss, test accuracy and time left; empty (and so costs nothing) when standard error
/// is not a terminal and `always` is not set.
std::function<void(const compress::EpochReport&)> training_progress(bool always);

}  // namespace popcorn::cli
