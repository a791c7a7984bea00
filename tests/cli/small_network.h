// A network for digits that is small enough for quick encrypted inferences with test keys.
#pragma once

#include <string>

#include "models/network/integer_network.h"

namespace popcorn::test {

/// 28x28 grey: convolution, max-pool, ReLU, dense; random small weights. Named "small".
models::IntegerNetwork small_network();

/// The same input, and millions of ReLUs: more than a gigabyte of traffic. Quick to load. Named "wide".
models::IntegerNetwork wide_network();

/// Writes the small one to `path` and gives `path` back.
std::string write_small_network(const std::string& path);

}  // namespace popcorn::test
