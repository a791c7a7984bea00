// The network of tests/data/models/every_kind.popcorn, built by hand: every node kind, weights of each width,
// a bias of more than one word, a scale for each channel.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::test {

inline constexpr const char* kGoldenFile = "tests/data/models/every_kind.popcorn";

models::IntegerNetwork golden_network();

}  // namespace popcorn::test
