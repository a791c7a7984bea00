// The labelled pictures of datasets/, under this folder's name.
#pragma once

#include "models/datasets/dataset.h"

namespace popcorn::compress {

using datasets::Dataset;
using datasets::read_dataset;
using datasets::read_idx;
using datasets::Split;

}  // namespace popcorn::compress
