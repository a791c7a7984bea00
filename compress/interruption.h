// Ending long work at the user's wish.
#pragma once

#include <atomic>

namespace popcorn::compress {

/// Thrown when a stop flag was raised; the command line ends with code 130.
struct Interrupted {};

/// @param stop null = never @throws Interrupted
inline void throw_if_stopped(const std::atomic<bool>* stop) {
  if (stop != nullptr && *stop) throw Interrupted{};
}

}  // namespace popcorn::compress
