#include "cli/terminal/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/terminal/notes.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

constexpr std::chrono::seconds kQuietAtFirst{2};
constexpr std::chrono::milliseconds kBetweenDraws{100};
constexpr std::size_t kBarWidth = 24;

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)),
      is_terminal_(::isatty(STDERR_FILENO) == 1 && !notes_are_silenced()),
      start_(Clock::now()),
      last_draw_(start_) {}

Progress::~Progress() {
  clear();
}

void Progress::update(std::uint64_t done, std::uint64_t total, const std::string& detail) {
  if (!is_terminal_ || total == 0) return;
  const std::scoped_lock lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (now - start_ < kQuietAtFirst || now - last_draw_ < kBetweenDraws) return;
  last_draw_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  std::string line = what_ + "  " + bar_text(done, total, kBarWidth);
  if (done > 0 && done < total) {
    line += "  " + human_seconds(seconds_left(done, total, elapsed)) + " left";
  }
  if (!detail.empty()) line += "  " + detail;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  const std::scoped_lock lock(mutex_);
  erase();
}

void Progress::erase() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

std::string bar_text(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const double share =
      total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  std::string percent = std::to_string(static_cast<int>(100 * share));
  percent.insert(percent.begin(), 3 - std::min<std::size_t>(3, percent.size()), ' ');
  return std::string(filled, '#') + std::string(width - filled, '-') + " " + percent + " %";
}

double seconds_left(std::uint64_t done, std::uint64_t total, double elapsed_seconds) {
  if (done == 0 || done >= total) return 0;
  return elapsed_seconds * static_cast<double>(total - done) / static_cast<double>(done);
}

}  // namespace popcorn::cli
