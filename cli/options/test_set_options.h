// Options of the commands that read a test set.
#pragma once

#include <CLI/CLI.hpp>

#include "models/datasets/test_set.h"

namespace popcorn::cli {

/// --data, --dataset and --training-images. Returns the first.
CLI::Option* add_test_set_options(CLI::App& command, datasets::TestSetChoice& choice);

}  // namespace popcorn::cli
