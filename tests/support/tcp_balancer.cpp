#include "tests/support/tcp_balancer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace popcorn::test {

namespace {

constexpr int kPollMilliseconds = 50;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

/// Moves what `from` has to `to`; false when either is at its end.
bool move_bytes(int from, int to) {
  std::array<char, 65536> chunk{};
  const ssize_t got = ::recv(from, chunk.data(), chunk.size(), 0);
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t now = ::send(to, chunk.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  return got > 0;
}

}  // namespace

TcpBalancer::TcpBalancer(std::vector<std::uint16_t> backends)
    : backends_(std::move(backends)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port for a balancer");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_until_stopped(); });
}

TcpBalancer::~TcpBalancer() {
  stopped_ = true;
  acceptor_.join();
  for (std::thread& thread : passing_) thread.join();
  ::close(listener_);
}

void TcpBalancer::accept_until_stopped() {
  for (std::size_t turn = 0; !stopped_;) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, kPollMilliseconds) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) passing_.emplace_back([this, client, first = turn++] { pass(client, first); });
  }
}

void TcpBalancer::pass(int client, std::size_t first_choice) {
  int server = -1;
  for (std::size_t i = 0; i < backends_.size() && server < 0; ++i) {
    server = connect_to(backends_[(first_choice + i) % backends_.size()]);
  }
  while (server >= 0 && !stopped_) {
    std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (::poll(ends.data(), ends.size(), kPollMilliseconds) <= 0) continue;
    if (ends[0].revents != 0 && !move_bytes(client, server)) break;
    if (ends[1].revents != 0 && !move_bytes(server, client)) break;
  }
  if (server >= 0) ::close(server);
  ::close(client);
}

}  // namespace popcorn::test
