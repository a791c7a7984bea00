#include "service/server.h"

#include <arpa/inet.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "service/api/admin_api.h"
#include "service/api/api.h"
#include "service/http/http_server.h"
#include "service/refusal.h"
#include "service/store/preparation_folder.h"
#include "service/store/shared_secret.h"
#include "service/store/shared_store.h"

namespace popcorn::service {
namespace {

using Json = nlohmann::ordered_json;

constexpr unsigned kDefaultHttpThreads = 64;
constexpr unsigned kAdminThreads = 4;
constexpr std::chrono::milliseconds kDrainPoll{200};

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
  const bool tls = !options.tls_certificate_file.empty();
  if (tls != !options.tls_key_file.empty() || (!tls && !options.tls_client_ca_file.empty())) {
    throw UsageError("server.tls", "TLS needs both a certificate and its private key");
  }
  if (!options.claim_log.empty() && options.session_store == "memory") {
    throw UsageError(
        "server.claim_log",
        "A claim log is about a session store that servers share; one server keeps preparations in a folder");
  }
  const bool open_admin = options.admin_port && !is_loopback(options.admin_host);
  if (((!tls && !is_loopback(options.host)) || open_admin) && !options.allow_insecure_remote) {
    throw UsageError("server.insecure_remote", "Listening on " +
                                                   (open_admin ? options.admin_host : options.host) +
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
  http.tls = {options.tls_certificate_file, options.tls_key_file, options.tls_client_ca_file};
  http.threads = options.http_threads != 0 ? options.http_threads : kDefaultHttpThreads;
  http.max_connections_per_address = options.connections_per_address;
  return http;
}

SessionManagerOptions session_options(const ServerOptions& options, ByteView secret) {
  SessionManagerOptions sessions;
  sessions.subgroup_keys = options.subgroup_keys;
  sessions.max_sessions_of_token = std::max<std::size_t>(1, options.max_sessions / 2);
  sessions.max_preparations_of_account = options.preparations_per_token;
  sessions.ledger = options.preparation_ledger;
  sessions.address_name = [secret](const std::string& address) {
    return to_hex(hmac_sha256(secret, as_bytes("address " + address)));
  };
  return sessions;
}

SessionStoreOptions store_options(const ServerOptions& options) {
  SessionStoreOptions store;
  store.max_sessions = options.max_sessions;
  store.lifetime = std::chrono::seconds(options.session_lifetime_seconds);
  store.max_preparations = options.max_preparations;
  store.preparation_lifetime = std::chrono::seconds(options.preparation_lifetime_seconds);
  return store;
}

SharedStoreOptions shared_store_options(const ServerOptions& options) {
  SharedStoreOptions shared;
  shared.url = options.session_store;
  shared.password = read_store_password(options.store_password_file);
  shared.key_file = options.store_key_file;
  shared.max_keys = options.max_keys;
  shared.claim_log = options.claim_log;
  shared.sessions = store_options(options);
  shared.lease = std::chrono::seconds(std::max(1U, options.round_lease_seconds));
  return shared;
}

std::unique_ptr<PreparationFolder> preparation_folder(const ServerOptions& options) {
  if (options.preparation_store.empty()) return nullptr;
  if (options.session_store != "memory") {
    throw UsageError(
        "server.preparation_store",
        "Preparations are kept in a folder or in the session store that servers share, not in both");
  }
  PreparationFolderOptions folder;
  folder.folder = options.preparation_store;
  folder.store_key_file = options.store_key_file;
  return std::make_unique<PreparationFolder>(std::move(folder));
}

/// What configurations are named with. Clients keep names only as long as a server lives, unless several are
/// one to them.
SecretBytes config_secret(const ServerOptions& options, const PreparationFolder* folder) {
  if (!options.config_secret_file.empty()) {
    return read_shared_secret(options.config_secret_file, "the configuration secret", "config_secret");
  }
  if (!options.store_key_file.empty()) {
    const SecretBytes key = read_shared_secret(options.store_key_file, "the store key", "store_key");
    const Sha256 derived = hmac_sha256(key.view(), as_bytes("popcorn configuration secret"));
    return SecretBytes(Bytes(derived.begin(), derived.end()));
  }
  if (options.session_store != "memory") {
    throw UsageError("server.config_secret",
                     "Servers that share a session store need a configuration secret or a store key, so that "
                     "they give configurations the same names");
  }
  if (folder != nullptr) {  // what was prepared is good for a configuration by its name
    const Sha256 derived = folder->derived_secret("configuration secret");
    return SecretBytes(Bytes(derived.begin(), derived.end()));
  }
  SecretBytes random(kSharedSecretBytes);
  system_rng().fill(random.writable());
  return random;
}

KeyRegistryOptions key_options(const ServerOptions& options) {
  KeyRegistryOptions keys;
  keys.max_keys = options.max_keys;
  return keys;
}

HttpOptions admin_http_options(const ServerOptions& options) {
  HttpOptions http;
  http.host = options.admin_host;
  http.port = options.admin_port.value_or(0);
  http.threads = kAdminThreads;
  return http;
}

std::vector<std::string> admin_names(const ServerOptions& options) {
  std::vector<std::string> names = {options.admin_host};
  std::istringstream list(options.admin_names);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) {
      names.push_back(name);
    }
  }
  return names;
}

JobQueueOptions queue_options(const ServerOptions& options) {
  JobQueueOptions queue;
  queue.workers =
      options.workers != 0 ? options.workers : std::max(2U, std::thread::hardware_concurrency() / 2);
  queue.max_waiting = std::max<std::size_t>(1, options.max_queue);
  // Without tokens everybody is the same caller.
  queue.max_waiting_per_caller =
      options.token_file.empty() ? queue.max_waiting : std::max<std::size_t>(1, queue.max_waiting / 2);
  return queue;
}

}  // namespace

struct Server::State {
  explicit State(ServerOptions given)
      : options((check(given), std::move(given))),
        authenticator(options.token_file.empty() ? Authenticator(options.token_limits)
                                                 : Authenticator(options.token_file, options.token_limits)),
        memory(options.max_upload_bytes),
        folder(preparation_folder(options)),
        secret(config_secret(options, folder.get())),
        models(options.models, published_key_sizes(options), secret.view()),
        keys(key_options(options)),
        store(make_store()),
        queue(queue_options(options), [this](double waited, double ran) { metrics.job(waited, ran); }),
        sessions(session_options(options, secret.view()), models, keys, *store, queue, metrics),
        admission(options.keys_per_minute),
        api({models, keys, admission, sessions, memory, queue, metrics, options.key_policy,
             options.max_body_bytes, options.subgroup_keys}),
        router(api.routes(), authenticator, metrics, log_function()),
        admin_router(admin_routes(
                         sessions, metrics, [this] { return gauges(); }, admin_names(options)),
                     authenticator, metrics, log_function()),
        http(http_options(options), handlers(router)) {
    if (options.admin_port) {
      admin = std::make_unique<HttpServer>(admin_http_options(options), handlers(admin_router));
    }
  }

  /// Jobs whose clients gave up may still run; they use the sessions.
  ~State() {
    http.stop();
    queue.finish();
  }

  std::unique_ptr<SessionStore> make_store() {
    if (options.session_store == "memory") {
      return make_memory_session_store(store_options(options), std::move(folder), restorer());
    }
    SharedStore shared = open_shared_store(shared_store_options(options), restorer());
    keys.use(std::move(shared.keys));
    return std::move(shared.sessions);
  }

  SessionRestorer restorer() {
    return [this](const SessionInfo& session, ByteView state) { return restore(session, state); };
  }

  /// A session that began on another server, or before this one was started.
  std::unique_ptr<protocols::ServerSession> restore(const SessionInfo& session, ByteView state) {
    const PublishedModel* model = models.find(session.model, session.config_id);
    if (model == nullptr) {
      throw Refusal(RefusalKind::gone, "config.gone",
                    "This configuration of the model is not served any more");
    }
    const auto key = paillier::PublicKey::parse(session.public_key, paillier::KeySizePolicy::insecure_test,
                                                paillier::ProofPolicy::required);
    return protocols::ServerSession::restore(model->served, keys.context(key), state);
  }

  Router::Log log_function() {
    if (!options.log) {
      return {};
    }
    return [this](LogLevel level, const std::string& line) {
      if (level > options.log_level) {
        return;
      }
      const std::lock_guard lock(log_mutex);
      options.log(line);
    };
  }

  /// A line about the server itself.
  void log_event(LogLevel level, const std::string& event, const Json& details = Json::object()) {
    const Router::Log log = log_function();
    if (!log) {
      return;
    }
    Json line = {
        {"time", utc_text(std::chrono::system_clock::now())}, {"level", to_string(level)}, {"event", event}};
    line.update(details);
    log(level, line.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  static HttpServer::Handlers handlers(const Router& router) {
    return {[&router](HttpRequest& request) { return router.handle(request); },
            [&router](int status) { return router.reject(status); }};
  }

  Metrics::Gauges gauges() {
    return {queue.depth(), store->active(),    store->prepared(),
            keys.size(),   http.connections(), memory.used()};
  }

  /// Ends the public port once the sessions that run are over or out of time.
  void drain_then_stop() {
    std::unique_lock lock(drain_mutex);
    drain_wake.wait(lock, [this] { return stops > 0; });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options.drain_seconds);
    while (stops < 2 && store->bound_to_process() > 0 && std::chrono::steady_clock::now() < deadline) {
      drain_wake.wait_for(lock, kDrainPoll);
    }
    http.stop();
  }

  void run() {
    std::thread drainer([this] { drain_then_stop(); });
    std::thread admin_thread;
    if (admin) {
      admin_thread = std::thread([this] { admin->run(); });
    }
    log_event(LogLevel::info, "started", {{"models", models.all().size()}});
    http.run();
    log_event(LogLevel::info, "stopped");
    if (admin) {
      admin->stop();
      admin_thread.join();
    }
    drainer.join();
  }

  void stop() {
    sessions.drain();
    log_event(LogLevel::info, "draining", {{"sessions_active", store->active()}});
    {
      const std::lock_guard lock(drain_mutex);
      ++stops;
    }
    drain_wake.notify_all();
  }

  // The order matters: what stands later uses what stands before and goes away first.
  const ServerOptions options;
  std::mutex log_mutex;
  Metrics metrics;
  Authenticator authenticator;
  MemoryBudget memory;
  std::unique_ptr<PreparationFolder> folder;  ///< until the store has it
  const SecretBytes secret;
  ModelRegistry models;
  KeyRegistry keys;
  std::unique_ptr<SessionStore> store;
  JobQueue queue;
  SessionManager sessions;
  KeyAdmission admission;
  Api api;
  Router router;
  Router admin_router;
  HttpServer http;
  std::unique_ptr<HttpServer> admin;
  std::uint16_t admin_port = 0;

  std::mutex drain_mutex;
  std::condition_variable drain_wake;
  unsigned stops = 0;
};

Server::Server(ServerOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Server::~Server() = default;

std::uint16_t Server::bind() {
  if (state_->admin) {
    state_->admin_port = state_->admin->bind();
  }
  return state_->http.bind();
}

void Server::run() {
  state_->run();
}

void Server::stop() {
  state_->stop();
}

void Server::reload() {
  try {
    state_->authenticator.reload();
    state_->http.reload_tls();
  } catch (const Error& error) {
    state_->log_event(LogLevel::error, "reload_failed", {{"code", error.code()}, {"error", error.what()}});
    throw;
  }
  state_->log_event(LogLevel::info, "reloaded");
}

std::uint16_t Server::admin_port() const noexcept {
  return state_->admin_port;
}

ServerStatistics Server::statistics() const {
  return state_->metrics.snapshot();
}

}  // namespace popcorn::service
