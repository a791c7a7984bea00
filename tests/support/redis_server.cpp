#include "tests/support/redis_server.h"

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "tests/support/free_port.h"

namespace popcorn::test {

namespace {

std::string executable() {
  for (const char* path : {"/usr/bin/redis-server", "/usr/local/bin/redis-server"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("redis-server is not installed; scripts/install-deps installs it");
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> options)
    : options_(std::move(options)), port_(free_port()) {
  start();
}

void RedisServer::start() {
  std::vector<std::string> argv = {executable(),    "--bind", "127.0.0.1",    "--port", std::to_string(port_),
                                   "--save",        "",       "--appendonly", "no",     "--dir",
                                   folder_.path("")};
  argv.insert(argv.end(), options_.begin(), options_.end());
  process_ = std::make_unique<Process>(argv);
  while (process_->read_line().find("Ready to accept connections") == std::string::npos) {
  }
}

void RedisServer::kill() {
  process_->send_signal(SIGKILL);
  process_->wait();
}

std::string RedisServer::url(const std::string& prefix) const {
  return "redis://127.0.0.1:" + std::to_string(port_) + "/0?timeout_ms=1000&prefix=" + prefix;
}

RedisServer& shared_redis() {
  static RedisServer server;
  return server;
}

std::string fresh_redis_url() {
  static int count = 0;
  return shared_redis().url("test" + std::to_string(++count) + ":");
}

}  // namespace popcorn::test
