// Connections to a Redis server: bounded waits, one command at a time on each, replaced when they break.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

struct redisContext;

namespace popcorn::service {

struct RedisOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  unsigned database = 0;
  std::string user;                         ///< of Redis' access control; empty = the default user
  std::string password;                     ///< empty = none
  std::chrono::milliseconds timeout{2000};  ///< of a connection, and of one command
  std::string prefix = "popcorn:";          ///< of all keys

  /// "redis://[user@]host[:port][/database][?timeout_ms=N&prefix=TEXT]"; the password comes from elsewhere.
  /// @throws UsageError "store.url"
  static RedisOptions parse(const std::string& url);
  bool loopback() const;
};

/// An answer of Redis, copied.
struct RedisValue {
  enum class Kind { nothing, integer, text, list };
  Kind kind = Kind::nothing;
  std::int64_t integer = 0;
  std::string text;
  std::vector<RedisValue> list;

  ByteView bytes() const { return as_bytes(text); }
  /// Element of a list; nothing past its end.
  const RedisValue& at(std::size_t i) const;
  /// Of an integer, or of decimal digits; 0 otherwise.
  std::int64_t number() const;
};

/// Thread-safe.
class RedisPool {
 public:
  explicit RedisPool(RedisOptions options);
  ~RedisPool();
  const RedisOptions& options() const noexcept { return options_; }

  /// A command that may be run twice: when a connection breaks, it is sent again over a new one.
  /// @throws Refusal unavailable "server.store" when Redis does not answer in time or refuses
  RedisValue run(const std::vector<std::string_view>& command);
  /// Whether Redis answers a PING; what was found out is believed for a second.
  bool reachable();
  /// Why the last exchange that failed did, for the operator.
  std::string last_error() const;
  /// EVAL with these keys and arguments.
  RedisValue script(std::string_view text, const std::vector<std::string>& keys,
                    const std::vector<std::string_view>& arguments);

 private:
  struct Close {
    void operator()(redisContext* context) const noexcept;
  };
  using Connection = std::unique_ptr<redisContext, Close>;

  Connection connect();
  enum class Outcome {
    answered,
    full,    ///< Redis may not hold more
    failed,  ///< the connection broke, or Redis answered with another error
  };
  Outcome exchange(redisContext& connection, const std::vector<std::string_view>& command, RedisValue& value);
  Connection idle();
  void give_back(Connection connection);
  bool may_connect() const;
  void remember_error(const char* text);

  const RedisOptions options_;
  mutable std::mutex mutex_;
  std::string last_error_;
  std::vector<Connection> idle_;
  std::chrono::steady_clock::time_point down_until_{};
  bool reachable_ = true;
  std::chrono::steady_clock::time_point reachable_until_{};
};

}  // namespace popcorn::service
