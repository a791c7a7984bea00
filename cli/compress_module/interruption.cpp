#include "cli/compress_module/interruption.h"

#include <csignal>

namespace popcorn::cli {

namespace {

std::atomic<bool> raised{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  raised = true;
  std::signal(signal, SIG_DFL);
}

}  // namespace

const std::atomic<bool>& watch_interruption() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  return raised;
}

}  // namespace popcorn::cli
