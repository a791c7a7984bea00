#include "service/server.h"

#include <arpa/inet.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "service/api.h"
#include "service/http_server.h"

namespace popcorn::service {
namespace {

constexpr unsigned kDefaultHttpThreads = 64;
constexpr std::uint64_t kDefaultUploadMemory = std::uint64_t{4} << 30;

bool is_loopback(const std::string& host) {
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  return host == "localhost" || host == "::1";
}

void check(const ServerOptions& options) {
  if (options.models.empty()) {
    throw UsageError("server.models", "A server needs at least one model");
  }
  for (const auto& model : options.models) {
    if (!model) {
      throw UsageError("server.models", "A model of the server is missing");
    }
  }
  if (options.session_lifetime_seconds == 0 || options.max_sessions == 0 || options.max_keys == 0) {
    throw UsageError("server.limits", "Session lifetime, sessions and keys of a server must be at least 1");
  }
  if (!is_loopback(options.host) && !options.allow_insecure_remote) {
    throw UsageError("server.insecure_remote", "Listening on " + options.host +
                                                   " without TLS needs the explicit permission "
                                                   "(allow_insecure_remote)");
  }
}

std::vector<unsigned> published_key_sizes(const ServerOptions&) {
  return {2048, 3072, 4096};
}

HttpOptions http_options(const ServerOptions& options) {
  HttpOptions http;
  http.host = options.host;
  http.port = options.port;
  http.threads = options.http_threads != 0 ? options.http_threads : kDefaultHttpThreads;
  return http;
}

SessionStoreOptions store_options(const ServerOptions& options) {
  SessionStoreOptions store;
  store.max_sessions = options.max_sessions;
  store.lifetime = std::chrono::seconds(options.session_lifetime_seconds);
  return store;
}

KeyRegistryOptions key_options(const ServerOptions& options) {
  KeyRegistryOptions keys;
  keys.max_keys = options.max_keys;
  return keys;
}

JobQueueOptions queue_options() {
  JobQueueOptions queue;
  queue.workers = std::max(2U, std::thread::hardware_concurrency() / 2);
  return queue;
}

}  // namespace

struct Server::State {
  explicit State(ServerOptions given)
      : options((check(given), std::move(given))),
        models(options.models, published_key_sizes(options)),
        keys(key_options(options)),
        store(make_memory_session_store(store_options(options))),
        queue(queue_options()),
        sessions({}, models, keys, *store, queue, counters),
        api({models, keys, sessions, queue, memory, counters, options.key_policy,
             options.log ? [this](const std::string& line) { log(line); }
                         : std::function<void(const std::string&)>()}),
        http(http_options(options), {[this](HttpRequest& request) { return api.handle(request); },
                                     [this](int status) { return api.reject(status); }}) {}

  /// Jobs whose clients gave up may still run; they use the sessions.
  ~State() {
    http.stop();
    queue.finish();
  }

  void log(const std::string& line) {
    const std::lock_guard lock(log_mutex);
    options.log(line);
  }

  // The order matters: what stands later uses what stands before and goes away first.
  const ServerOptions options;
  std::mutex log_mutex;
  Counters counters;
  MemoryBudget memory{kDefaultUploadMemory};
  ModelRegistry models;
  KeyRegistry keys;
  std::unique_ptr<SessionStore> store;
  JobQueue queue;
  SessionManager sessions;
  Api api;
  HttpServer http;
};

Server::Server(ServerOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Server::~Server() = default;

std::uint16_t Server::bind() {
  return state_->http.bind();
}

void Server::run() {
  state_->http.run();
}

void Server::stop() {
  state_->sessions.drain();
  state_->http.stop();
}

ServerStatistics Server::statistics() const {
  return state_->counters.snapshot();
}

}  // namespace popcorn::service
