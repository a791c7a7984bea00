// A real Redis server on a free loopback port, which forgets everything when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace popcorn::test {

class RedisServer {
 public:
  /// @param options further arguments of redis-server, e.g. {"--requirepass", "secret"}
  explicit RedisServer(std::vector<std::string> options = {});

  std::uint16_t port() const noexcept { return port_; }
  /// Names of keys begin with `prefix`, so that tests can share a server.
  std::string url(const std::string& prefix = "popcorn:") const;
  /// Ends it with SIGKILL; start() brings an empty one back at the same port.
  void kill();
  void start();
  Process& process() { return *process_; }

 private:
  const std::vector<std::string> options_;
  const std::uint16_t port_;
  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
};

/// One for all tests of a process that do not disturb it, and a prefix that nobody else has.
RedisServer& shared_redis();
std::string fresh_redis_url();

}  // namespace popcorn::test
