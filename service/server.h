// The HTTP server of Popcorn: routes of docs/openapi.json, sessions, limits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "paillier/keys/keys.h"
#include "protocols/session/session.h"
#include "service/log_level.h"
#include "service/server_statistics.h"
#include "service/tokens.h"

namespace popcorn::service {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  ///< 0 = any free port
  std::vector<std::shared_ptr<const protocols::ServedModel>> models;
  paillier::KeySizePolicy key_policy = paillier::KeySizePolicy::standard;
  unsigned session_lifetime_seconds = 600;  ///< since its last round
  std::size_t max_sessions = 64;
  std::size_t max_preparations = 256;       ///< for stocks, at once
  std::size_t preparations_per_token = 64;  ///< or of an address, without tokens; 0 = any number
  unsigned preparation_lifetime_seconds = 86'400;
  std::size_t max_keys = 256;
  unsigned keys_per_minute = 120;  ///< of 2048 bits, that one caller may have validated; 0 = any number
  bool subgroup_keys = false;      ///< also take keys whose maker the model's privacy would rest on
  unsigned http_threads = 0;       ///< 0 = a default from the cores
  unsigned connections_per_address = 32;  ///< at once; 0 = any number, as behind a proxy
  std::string token_file;  ///< bearer tokens, see service/tokens.h; empty = everybody may use the service
  TokenLimits token_limits{16,
                           1000};  ///< of tokens without limits of their own; without tokens, of addresses
  std::string tls_certificate_file, tls_key_file;  ///< PEM; both or none
  std::string tls_client_ca_file;                  ///< when set, clients must show a certificate it signed
  std::optional<std::uint16_t> admin_port;         ///< metrics and drain; none by default, 0 = any free port
  std::string admin_host = "127.0.0.1";
  std::string admin_names;     ///< that requests may give in Host, besides addresses and localhost; commas
  unsigned drain_seconds = 0;  ///< after stop(): how long sessions that run may go on
  std::size_t max_queue = 64;  ///< rounds that wait for a worker
  unsigned workers = 0;        ///< rounds computed at once; 0 = a default from the cores
  std::uint64_t max_upload_bytes = std::uint64_t{4} << 30;  ///< bodies in memory at once
  std::uint64_t max_body_bytes = 0;                         ///< of one request; 0 = what the protocol needs
  bool allow_insecure_remote = false;                       ///< listening off loopback without TLS needs it
  std::function<void(const std::string& json_line)> log;    ///< one JSON object a line; nothing secret
  LogLevel log_level = LogLevel::info;
  std::function<void(const std::string& json_line)> preparation_ledger;  ///< see service/preparation_ledger.h
  std::string session_store = "memory";  ///< or where several servers keep sessions and keys: "redis://…"
  std::string store_key_file;            ///< seals what is kept there; needed when it is on another machine
  std::string claim_log;                 ///< file, see service/store/claim_log.h; empty = none
  std::string preparation_store;         ///< folder where one server keeps preparations; empty = in memory
  /// Keys the names of configurations, see service/README.md; servers that clients may move between share it.
  /// Empty: derived from the store key, or a random one without a shared store.
  std::string config_secret_file;
  std::string store_password_file;    ///< what the store asks for; empty = nothing
  unsigned round_lease_seconds = 10;  ///< a round of a server that was not heard of for so long is taken over
};

class Server {
 public:
  /// @throws UsageError "server.*" for options that make no sense
  explicit Server(ServerOptions options);
  ~Server();
  /// Binds the socket and returns the port. @throws IoError "server.bind" that names host and port
  std::uint16_t bind();
  /// Serves until stop(); call bind() first.
  void run();
  /// Refuses new sessions, lets running rounds end (and for `drain_seconds` whole sessions), then run()
  /// returns. From any thread; a second call ends the wait for sessions.
  void stop();
  /// Reads tokens, certificate and key again, for SIGHUP; what is broken leaves the old in force.
  /// @throws IoError, InputError
  void reload();
  /// Of the admin port, after bind(); 0 when there is none.
  std::uint16_t admin_port() const noexcept;
  ServerStatistics statistics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace popcorn::service
