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
  enum class Reload { end_process, report };

  /// @param reload whether SIGHUP makes wait() return or ends the process, as it does by default
  explicit InterruptWatch(Reload reload = Reload::end_process);
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  enum class Reason { interrupt, reload, woken };

  /// Returns when a signal has come or wake() was called.
  Reason wait() const;
  void wake() const;

 private:
  const Reload reload_;
};

/// Whether a signal has come while an InterruptWatch was alive.
const std::atomic<bool>& interrupted();

}  // namespace popcorn::cli
