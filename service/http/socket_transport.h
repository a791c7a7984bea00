// Bytes over one connected socket, plain or TLS, each wait bounded by a deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "service/http/http_server.h"

struct ssl_ctx_st;

namespace popcorn::service {

using Clock = std::chrono::steady_clock;

/// Closes a file descriptor when it goes away.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }
  int get() const noexcept { return fd_; }
  void reset() noexcept;

 private:
  int fd_;
};

/// Wakes every thread that waits on it, for as long as it is raised (an eventfd).
class WakeEvent {
 public:
  WakeEvent();
  void raise() noexcept;
  void lower() noexcept;
  int fd() const noexcept { return fd_.get(); }

 private:
  FileDescriptor fd_;
};

enum class WaitResult { ready, woken, timed_out, failed };
/// Waits until `fd` is ready for `events` (POLLIN, POLLOUT), one of the two wake events is raised (-1: none)
/// or the deadline is over.
WaitResult wait_for(int fd, short events, Clock::time_point deadline, int wake_fd = -1,
                    int other_wake_fd = -1);

enum class IoStatus { ok, want_read, want_write, closed, failed };
struct IoResult {
  IoStatus status = IoStatus::failed;
  std::size_t bytes = 0;
};

/// One connection; non-blocking underneath. Used by one thread.
class SocketTransport {
 public:
  virtual ~SocketTransport() = default;
  virtual IoResult try_handshake() { return {IoStatus::ok, 0}; }
  virtual IoResult try_read(char* out, std::size_t capacity) = 0;
  virtual IoResult try_write(const char* data, std::size_t size) = 0;
  /// Bytes that can be read although the socket shows none.
  virtual bool pending() const { return false; }
  /// Tells the other side that nothing more comes. Never blocks.
  virtual void shutdown_write() = 0;
  virtual int fd() const noexcept = 0;
};

std::unique_ptr<SocketTransport> make_plain_transport(FileDescriptor socket);

using TlsContext = std::shared_ptr<ssl_ctx_st>;
/// TLS 1.2 or newer. @throws IoError "server.tls" that says which file cannot be used and why
TlsContext make_tls_context(const TlsOptions& options);
/// Null when the connection cannot be set up.
std::unique_ptr<SocketTransport> make_tls_transport(FileDescriptor socket, const TlsContext& context);

}  // namespace popcorn::service
