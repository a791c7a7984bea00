// A `popcorn serve` of our own executable as a child process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace popcorn::cli {

class ServerProcess {
 public:
  /// Starts `popcorn serve MODEL --json --host 127.0.0.1 --port 0` and waits until it is ready. The child
  /// does not outlive this process. @throws Error "demo.server" when it ends before it is ready
  explicit ServerProcess(const std::vector<std::string>& serve_arguments);
  /// Arguments for a server that only this process asks: every sign test, every kind of key, no limits of
  /// callers.
  static std::vector<std::string> open_doors(const std::string& model);
  /// Ends the child if stop() was not called.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& url() const noexcept { return url_; }
  pid_t pid() const noexcept { return pid_; }

  /// Asks the child to stop with SIGTERM and waits; gives its last line, the JSON object of what it saw.
  /// @throws Error "demo.server" when it does not end well
  std::string stop();

 private:
  void start(const std::vector<std::string>& arguments);
  /// One line of the child's standard output without its newline; empty at its end.
  std::string read_line();
  int wait_for_end();

  pid_t pid_ = -1;
  int out_fd_ = -1;
  std::string buffer_;
  std::string url_;
};

}  // namespace popcorn::cli
