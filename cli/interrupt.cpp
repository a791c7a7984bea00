#include "cli/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"

namespace popcorn::cli {

namespace {

std::atomic<bool> was_interrupted{false};
std::atomic<int> watch_fd{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "the signal handler needs lock-free flags");

void write_event(int fd) {
  const std::uint64_t one = 1;
  const ssize_t written = ::write(fd, &one, sizeof one);
  static_cast<void>(written);  // the counter cannot overflow, and a handler could not report it
}

/// Calls only what POSIX allows in a signal handler.
extern "C" void handle_signal(int number) {
  const int saved_errno = errno;
  const int fd = watch_fd.load();
  if (fd < 0 || was_interrupted.exchange(true)) ::_exit(128 + number);
  write_event(fd);
  errno = saved_errno;
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = handle_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

InterruptWatch::InterruptWatch() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw IoError("interrupt.eventfd", "the operating system gave no event descriptor");
  watch_fd.store(fd);
}

InterruptWatch::~InterruptWatch() {
  ::close(watch_fd.exchange(-1));
}

void InterruptWatch::wait() const {
  pollfd event{watch_fd.load(), POLLIN, 0};
  while (::poll(&event, 1, -1) < 0 && errno == EINTR) {
  }
}

void InterruptWatch::wake() const {
  write_event(watch_fd.load());
}

const std::atomic<bool>& interrupted() {
  return was_interrupted;
}

}  // namespace popcorn::cli
