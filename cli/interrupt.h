// Ctrl-C and SIGTERM.
#pragma once

#include <atomic>

namespace popcorn::cli {

inline constexpr int kInterruptedExitCode = 130;

/// Once, at the start of the process: from now on SIGINT and SIGTERM end it with exit code 128 + signal
/// number, unless an InterruptWatch is alive. SIGPIPE is ignored: a peer that goes away is an error like any
/// other.
void install_signal_handlers();

/// While one is alive, the first signal only sets interrupted() and wakes wait(); the second ends the
/// process.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  /// Returns when a signal has come or wake() was called.
  void wait() const;
  void wake() const;
};

/// Whether a signal has come while an InterruptWatch was alive.
const std::atomic<bool>& interrupted();

}  // namespace popcorn::cli
