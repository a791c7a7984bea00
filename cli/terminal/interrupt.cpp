#include "cli/terminal/interrupt.h"

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
std::atomic<bool> was_hung_up{false};
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

extern "C" void handle_hang_up(int) {
  const int saved_errno = errno;
  was_hung_up = true;
  write_event(watch_fd.load());
  errno = saved_errno;
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  set_handler(SIGINT, handle_signal);
  set_handler(SIGTERM, handle_signal);
  std::signal(SIGPIPE, SIG_IGN);
}

InterruptWatch::InterruptWatch(Reload reload) : reload_(reload) {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw IoError("interrupt.eventfd", "the operating system gave no event descriptor");
  watch_fd.store(fd);
  if (reload == Reload::report) set_handler(SIGHUP, handle_hang_up);
}

InterruptWatch::~InterruptWatch() {
  if (reload_ == Reload::report) std::signal(SIGHUP, SIG_DFL);
  ::close(watch_fd.exchange(-1));
}

InterruptWatch::Reason InterruptWatch::wait() const {
  pollfd event{watch_fd.load(), POLLIN, 0};
  while (::poll(&event, 1, -1) < 0 && errno == EINTR) {
  }
  std::uint64_t count = 0;
  const ssize_t taken = ::read(event.fd, &count, sizeof count);
  static_cast<void>(taken);  // what made poll() return is there to be read
  if (was_hung_up.exchange(false)) {
    if (was_interrupted) write_event(event.fd);  // both at once: the next wait() reports the other
    return Reason::reload;
  }
  return was_interrupted ? Reason::interrupt : Reason::woken;
}

void InterruptWatch::wake() const {
  write_event(watch_fd.load());
}

const std::atomic<bool>& interrupted() {
  return was_interrupted;
}

}  // namespace popcorn::cli
