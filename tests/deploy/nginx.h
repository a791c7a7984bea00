// nginx with the configuration that deploy/ ships, on the loopback address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cli/command_line.h"
#include "tests/support/process.h"

namespace popcorn::test {

/// False, and a loud line, when a program that a test needs is not installed.
bool installed(const std::string& program);

/// Fails the test when `what` is not in the text.
void replace_all(std::string& text, const std::string& what, const std::string& instead);

/// "host:port".
std::string address_of(const RunningServer& server);

/// service/deploy/nginx.conf with the addresses and files of this machine; everything else as shipped.
class Nginx {
 public:
  /// @param first, second addresses of the replicas
  Nginx(const std::string& first, const std::string& second);
  std::vector<std::string> argv(const std::vector<std::string>& more) const;
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  std::string access_log() const;

 private:
  TemporaryFolder folder_;
  std::uint16_t port_;
  std::string configuration_;
};

}  // namespace popcorn::test
