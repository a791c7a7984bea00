// A test set for commands that read one.
#pragma once

#include <cstddef>

#include "tests/support/process.h"

namespace popcorn::test {

/// MNIST's plain idx files with `count` images of random pixels and random labels.
void write_random_test_set(const TemporaryFolder& folder, std::size_t count);

}  // namespace popcorn::test
