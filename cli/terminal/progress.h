// A progress bar with the time left, on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace popcorn::cli {

/// Draws only when standard error is a terminal, notes are not silenced and the work has taken more than two
/// seconds. Thread-safe.
class Progress {
 public:
  /// @param what short name of the work, e.g. "evaluating"
  explicit Progress(std::string what);
  /// Removes the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// @param detail what is being done at the moment; may be empty
  void update(std::uint64_t done, std::uint64_t total, const std::string& detail = {});
  /// Removes the bar, so that a line can be printed; the next update() draws it again.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void erase();

  std::mutex mutex_;
  std::string what_;
  bool is_terminal_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point last_draw_;
};

/// "#####-----  50 %", `width` characters for the bar. Done above total counts as all.
std::string bar_text(std::uint64_t done, std::uint64_t total, std::size_t width);
/// Seconds left, if the rest takes as long per unit as what was done; 0 while nothing is done.
double seconds_left(std::uint64_t done, std::uint64_t total, double elapsed_seconds);

}  // namespace popcorn::cli
