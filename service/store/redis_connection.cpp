#include "service/store/redis_connection.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "base/error.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMaxIdle = 32;
constexpr unsigned kRetryAfterSeconds = 2;
/// After a failure nobody tries for so long, so that an outage costs each request little.
constexpr std::chrono::milliseconds kPauseAfterFailure{250};

[[noreturn]] void bad_url(const std::string& url, const std::string& what) {
  throw UsageError("store.url", "The session store " + url + " " + what +
                                    "; expected memory or redis://host[:port][/database][?timeout_ms=N]");
}

template <typename Integer>
Integer number_of(const std::string& url, const std::string& text, Integer least, Integer most) {
  Integer value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < least || value > most) {
    bad_url(url, "has the number \"" + text + "\" where one from " + std::to_string(least) + " to " +
                     std::to_string(most) + " belongs");
  }
  return value;
}

timeval timeval_of(std::chrono::milliseconds time) {
  timeval value{};
  value.tv_sec = static_cast<time_t>(time.count() / 1000);
  value.tv_usec = static_cast<suseconds_t>(time.count() % 1000 * 1000);
  return value;
}

RedisValue copy_of(const redisReply& reply) {
  RedisValue value;
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      value.kind = RedisValue::Kind::integer;
      value.integer = reply.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      value.kind = RedisValue::Kind::text;
      value.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ARRAY:
      value.kind = RedisValue::Kind::list;
      for (std::size_t i = 0; i < reply.elements; ++i) {
        value.list.push_back(copy_of(*reply.element[i]));
      }
      break;
    default:
      break;
  }
  return value;
}

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

[[noreturn]] void refuse_full() {
  throw Refusal(RefusalKind::unavailable, "server.store_full",
                "The server's session store is full: Redis has reached its maxmemory; its operator must give "
                "it more, or wait for sessions to end",
                kRetryAfterSeconds);
}

/// hiredis writes to sockets without MSG_NOSIGNAL: a broken connection must not end the process.
void ignore_broken_pipes() {
  struct sigaction current {};
  if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_IGN);
  }
}

}  // namespace

RedisOptions RedisOptions::parse(const std::string& url) {
  constexpr std::string_view kScheme = "redis://";
  if (!url.starts_with(kScheme)) {
    bad_url(url, "is of another kind");
  }
  RedisOptions options;
  std::string rest = url.substr(kScheme.size());
  const std::size_t query_at = rest.find('?');
  std::string query = query_at == std::string::npos ? "" : rest.substr(query_at + 1);
  rest.resize(std::min(query_at, rest.size()));
  if (const std::size_t at = rest.find('@'); at != std::string::npos) {
    options.user = rest.substr(0, at);
    rest.erase(0, at + 1);
    if (options.user.find(':') != std::string::npos) {
      throw UsageError("store.url",
                       "The session store's password does not belong into its URL: put it into a "
                       "file (store-password-file)");
    }
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string::npos) {
    if (slash + 1 < rest.size()) {
      options.database = number_of<unsigned>(url, rest.substr(slash + 1), 0, 65535);
    }
    rest.resize(slash);
  }
  if (rest.starts_with('[') && rest.find(']') != std::string::npos) {
    const std::size_t end = rest.find(']');
    options.host = rest.substr(1, end - 1);
    rest.erase(0, end + 1);
  } else {
    options.host = rest.substr(0, rest.find(':'));
    rest.erase(0, options.host.size());
  }
  if (!rest.empty()) {
    options.port = number_of<std::uint16_t>(url, rest.substr(1), 1, 65535);
  }
  if (options.host.empty()) {
    bad_url(url, "names no host");
  }
  while (!query.empty()) {
    const std::string field = query.substr(0, query.find('&'));
    query.erase(0, std::min(query.size(), field.size() + 1));
    if (field.starts_with("timeout_ms=")) {
      options.timeout = std::chrono::milliseconds(number_of<unsigned>(url, field.substr(11), 10, 60000));
    } else if (field.starts_with("prefix=") && field.size() > 7) {
      options.prefix = field.substr(7);
    } else {
      bad_url(url, "has the unknown field \"" + field + "\"");
    }
  }
  return options;
}

bool RedisOptions::loopback() const {
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  return host == "localhost" || host == "::1";
}

const RedisValue& RedisValue::at(std::size_t i) const {
  static const RedisValue nothing;
  return i < list.size() ? list[i] : nothing;
}

std::int64_t RedisValue::number() const {
  std::int64_t value = integer;
  if (kind == Kind::text) {
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return value;
}

void RedisPool::Close::operator()(redisContext* context) const noexcept {
  redisFree(context);
}

RedisPool::RedisPool(RedisOptions options) : options_(std::move(options)) {
  ignore_broken_pipes();
}

RedisPool::~RedisPool() = default;

std::string RedisPool::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void RedisPool::remember_error(const char* text) {
  const std::lock_guard lock(mutex_);
  last_error_ = text;
}

RedisPool::Connection RedisPool::connect() {
  Connection connection(
      redisConnectWithTimeout(options_.host.c_str(), options_.port, timeval_of(options_.timeout)));
  if (!connection || connection->err != 0 ||
      redisSetTimeout(connection.get(), timeval_of(options_.timeout)) != REDIS_OK) {
    remember_error(connection ? connection->errstr : "no memory");
    return nullptr;
  }
  RedisValue ignored;
  if (!options_.password.empty()) {
    std::vector<std::string_view> login = {"AUTH"};
    if (!options_.user.empty()) {
      login.push_back(options_.user);
    }
    login.push_back(options_.password);
    if (exchange(*connection, login, ignored) != Outcome::answered) {
      return nullptr;
    }
  }
  const std::string database = std::to_string(options_.database);
  if (options_.database != 0 && exchange(*connection, {"SELECT", database}, ignored) != Outcome::answered) {
    return nullptr;
  }
  return connection;
}

RedisPool::Outcome RedisPool::exchange(redisContext& connection, const std::vector<std::string_view>& command,
                                       RedisValue& value) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string_view part : command) {
    texts.push_back(part.data());
    sizes.push_back(part.size());
  }
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
      redisCommandArgv(&connection, static_cast<int>(texts.size()), texts.data(), sizes.data())));
  // An error reply (wrong password, out of memory, still loading) is no better than none.
  if (!reply || reply->type == REDIS_REPLY_ERROR) {
    remember_error(reply ? reply->str : connection.errstr);
    return reply && std::string_view(reply->str).starts_with("OOM ") ? Outcome::full : Outcome::failed;
  }
  value = copy_of(*reply);
  return Outcome::answered;
}

bool RedisPool::may_connect() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::steady_clock::now() >= down_until_;
}

RedisPool::Connection RedisPool::idle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) {
    return nullptr;
  }
  Connection connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void RedisPool::give_back(Connection connection) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) {
    idle_.push_back(std::move(connection));
  }
}

RedisValue RedisPool::run(const std::vector<std::string_view>& command) {
  RedisValue value;
  const auto served = [&](Connection connection) {
    const Outcome outcome = connection ? exchange(*connection, command, value) : Outcome::failed;
    if (outcome == Outcome::full) refuse_full();
    if (outcome == Outcome::answered) give_back(std::move(connection));
    return outcome == Outcome::answered;
  };
  if (served(idle())) return value;
  if (may_connect()) {
    if (served(connect())) return value;
    const std::lock_guard lock(mutex_);
    idle_.clear();
    down_until_ = std::chrono::steady_clock::now() + kPauseAfterFailure;
  }
  throw Refusal(RefusalKind::unavailable, "server.store",
                "The server's session store does not answer; send the same request again",
                kRetryAfterSeconds);
}

bool RedisPool::reachable() {
  {
    const std::lock_guard lock(mutex_);
    if (std::chrono::steady_clock::now() < reachable_until_) return reachable_;
  }
  bool answers = true;
  try {
    run({"PING"});
  } catch (const Refusal&) {
    answers = false;
  }
  const std::lock_guard lock(mutex_);
  reachable_ = answers;
  reachable_until_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  return answers;
}

RedisValue RedisPool::script(std::string_view text, const std::vector<std::string>& keys,
                             const std::vector<std::string_view>& arguments) {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> command = {"EVAL", text, count};
  command.insert(command.end(), keys.begin(), keys.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

}  // namespace popcorn::service
