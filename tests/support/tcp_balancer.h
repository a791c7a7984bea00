// Passes connections on to the first of several servers that takes them, in turn: what a load balancer does,
// without looking into what goes through.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace popcorn::test {

class TcpBalancer {
 public:
  explicit TcpBalancer(std::vector<std::uint16_t> backends);
  ~TcpBalancer();
  TcpBalancer(const TcpBalancer&) = delete;
  TcpBalancer& operator=(const TcpBalancer&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void accept_until_stopped();
  void pass(int client, std::size_t first_choice);

  const std::vector<std::uint16_t> backends_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopped_{false};
  std::thread acceptor_;
  std::vector<std::thread> passing_;
};

}  // namespace popcorn::test
