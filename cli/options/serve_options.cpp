#include "cli/options/serve_options.h"

#include "base/error.h"
#include "protocols/engines.h"

namespace popcorn::cli {

namespace {

constexpr std::uint64_t kMaxPort = 65535;
constexpr std::uint64_t kMaxCount = 1'000'000'000;
constexpr std::uint64_t kMaxThreads = 4096;
constexpr std::uint64_t kMaxSeconds = 86400;

void add_address_settings(Settings& settings, ServeOptions& options) {
  service::ServerOptions& server = options.server;
  settings.text("host", server.host, "ADDRESS", "Address to listen on");
  settings.number("port", server.port, 0, kMaxPort, "PORT", "Port to listen on; 0 takes a free one");
  settings.text("tls-certificate", server.tls_certificate_file, "FILE",
                "Speak TLS with this certificate chain (PEM)");
  settings.text("tls-key", server.tls_key_file, "FILE", "Private key of the certificate (PEM)");
  settings.text("client-ca", server.tls_client_ca_file, "FILE",
                "Ask clients for a certificate that one of these authorities signed (PEM)");
  settings.flag("allow-insecure-remote", server.allow_insecure_remote,
                "Listen on an address that others can reach although the connection has no TLS");
  settings.text("tokens", server.token_file, "FILE",
                "Answer only to who has one of these tokens, one a line with its scope and limits");
  settings.text("admin-host", server.admin_host, "ADDRESS", "Address of the admin port");
  settings.text("admin-names", server.admin_names, "NAMES",
                "Names, with commas, that the admin port is asked by, besides addresses and localhost");
  settings.text("admin-port", options.admin_port, "PORT",
                "Port of GET /metrics and POST /admin/drain; 0 takes a free one, none leaves it out");
}

void add_limit_settings(Settings& settings, ServeOptions& options) {
  service::ServerOptions& server = options.server;
  settings.text("session-store", server.session_store, "WHERE",
                "Where sessions and keys live: memory, or redis://HOST:PORT/DATABASE for several servers");
  settings.text("store-key", server.store_key_file, "FILE",
                "Seals what is kept in Redis: 64 hexadecimal digits, the same for all servers");
  settings.text(
      "claim-log", server.claim_log, "FILE",
      "With Redis: remember here, in /run for instance, how many preparations were used, so that servers and "
      "Redis may all be started again without losing the others");
  settings.text("preparation-store", server.preparation_store, "DIR",
                "Keep preparations in this folder, for one server that may be restarted; not with Redis");
  settings.text(
      "config-secret", server.config_secret_file, "FILE",
      "Keys the names of configurations: 64 hexadecimal digits, the same for servers that clients may "
      "move between; without it derived from the store key, or new at each start");
  settings.text("store-password-file", server.store_password_file, "FILE", "The password of Redis");
  settings.number("round-lease", server.round_lease_seconds, 1, 3600, "SECONDS",
                  "With Redis: a server not heard of for so long loses the rounds it computes to others");
  settings.number("session-lifetime", server.session_lifetime_seconds, 1, kMaxSeconds, "SECONDS",
                  "Seconds after its last round until a session is forgotten");
  settings.number("max-sessions", server.max_sessions, 1, 100'000, "N", "Sessions at once");
  settings.number("max-preparations", server.max_preparations, 0, 1'000'000, "N",
                  "Preparations kept for stocks at once (popcorn prepare)");
  settings.number("preparations-per-token", server.preparations_per_token, 0, kMaxCount, "N",
                  "Of them, those of one token, or without tokens of an address; 0 = any number");
  settings.number("preparation-lifetime", server.preparation_lifetime_seconds, 1, kMaxSeconds, "SECONDS",
                  "Seconds until a preparation that nobody used is forgotten");
  settings.number(
      "sessions-per-token", server.token_limits.sessions, 0, kMaxCount, "N",
      "Sessions at once of a token that has no limit of its own (a token never has more than half of "
      "--max-sessions), or without tokens of an address; 0 = any number");
  settings.number(
      "sessions-per-day", server.token_limits.sessions_per_day, 0, kMaxCount, "N",
      "Sessions a day of a token that has no limit of its own, or without tokens of an address; 0 = "
      "any number");
  settings.number("max-keys", server.max_keys, 1, 100'000, "N", "Registered public keys at once");
  settings.number(
      "keys-per-minute", server.keys_per_minute, 0, kMaxCount, "N",
      "Keys of 2048 bits that one caller may have validated a minute, longer and bad ones count more; "
      "0 = any number");
  settings.flag("subgroup-keys", server.subgroup_keys,
                "Also take subgroup keys: they leave the model's privacy to the maker of the key");
  settings.number("max-queue", server.max_queue, 1, 100'000, "N", "Rounds that wait for a worker");
  settings.bytes("max-body", server.max_body_bytes, 0,
                 "Largest body of a request; 0 = what the model and the key need");
  settings.bytes("max-bodies", server.max_upload_bytes, 1, "Bodies of all clients in memory at once");
  settings.number("http-threads", server.http_threads, 0, kMaxThreads, "N",
                  "Connections served at once; 0 = a default");
  settings.number("connections-per-address", server.connections_per_address, 0, kMaxCount, "N",
                  "Connections at once of one address; 0 = any number, as behind a proxy");
  settings.number("workers", server.workers, 0, kMaxThreads, "N",
                  "Rounds computed at once; 0 chooses from the cores");
  settings.number("threads", options.threads, 0, kMaxThreads, "N",
                  "Cores that computations use; 0 takes all");
  settings.number("drain-time", server.drain_seconds, 0, kMaxSeconds, "SECONDS",
                  "After SIGTERM: how long sessions that run may go on");
}

std::vector<std::string> engine_choices() {
  std::vector<std::string> choices = {"any"};
  for (const std::string_view name : protocols::engine_names()) choices.emplace_back(name);
  return choices;
}

std::uint16_t parse_port(const std::string& text) {
  const bool number =
      !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!number || std::stoul(text) > kMaxPort) {
    throw UsageError("settings.value",
                     "The setting admin-port must be none or a number from 0 to 65535, not \"" + text + "\"");
  }
  return static_cast<std::uint16_t>(std::stoul(text));
}

}  // namespace

void add_serve_settings(Settings& settings, ServeOptions& options) {
  settings.positional_list("models", options.models, "MODEL",
                           "Paths of .popcorn files or names of shipped models");
  add_address_settings(settings, options);
  settings.choice("output", options.output, {"any", "logits", "label"},
                  "What clients may ask for: logits, label (the class alone, as model NAME.label), or any");
  settings.choice(
      "engine", options.engine, engine_choices(),
      "What clients may choose: one of the engines, or any that can run the network; of a shipped "
      "model with a requantised form that is offered too, under the same name, on shares");
  settings.choice(
      "sign-test", options.sign_test, {"any", "oblivious", "blinded"},
      "What clients may choose: oblivious (leaks nothing), blinded (leaks noisy magnitudes), or any");
  add_limit_settings(settings, options);
  settings.text("log", options.log, "FILE", "Write JSON lines to this file; - is standard error");
  settings.choice("log-level", options.log_level, {"error", "warning", "info"},
                  "What is logged: failures of the server, also refused requests, or every request");
  settings.text(
      "preparation-ledger", options.preparation_ledger, "FILE",
      "Write to this file what becomes of each preparation, for audits: JSON lines that name sessions");
  settings.flag("insecure-test-key", options.insecure_test_key,
                "Also take keys that are small enough to be broken; for tests only");
}

void complete(ServeOptions& options) {
  if (options.models.empty())
    throw UsageError("settings.models", "Name at least one model to serve; see popcorn serve --help");
  if (options.admin_port != "none") options.server.admin_port = parse_port(options.admin_port);
  if (options.insecure_test_key) options.server.key_policy = paillier::KeySizePolicy::insecure_test;
  options.server.log_level = service::parse_log_level(options.log_level).value_or(service::LogLevel::info);
}

}  // namespace popcorn::cli
