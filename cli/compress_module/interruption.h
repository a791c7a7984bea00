// Ctrl-C and SIGTERM while a network trains.
#pragma once

#include <atomic>

namespace popcorn::cli {

/// From now on the first SIGINT or SIGTERM raises the flag, the second ends the process.
const std::atomic<bool>& watch_interruption();

}  // namespace popcorn::cli
