// Waiting in tests for what another thread or process does: bounded, so that a fault fails and does not hang.
#pragma once

#include <chrono>
#include <thread>

namespace popcorn::test {

/// Whether `condition()` becomes true within the time; asks every few milliseconds.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::seconds within = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace popcorn::test
