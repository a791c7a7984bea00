#include "service/tokens.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "service/refusal.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMinToken = 16;
constexpr std::size_t kMaxToken = 256;
constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr std::size_t kIdBytes = 8;

[[noreturn]] void bad_line(std::size_t line, const std::string& complaint) {
  throw InputError("tokens.line", "Line " + std::to_string(line) + " of the token file: " + complaint);
}

bool is_token(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=-";
  return text.size() >= kMinToken && text.size() <= kMaxToken &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::uint64_t parse_limit(const std::string& text, std::size_t line) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) {
    bad_line(line, "a limit must be a number");
  }
  return std::stoull(text);
}

void set_scopes(Caller& caller, const std::string& scopes, std::size_t line) {
  caller.infer = caller.admin = false;
  std::istringstream list(scopes);
  for (std::string scope; std::getline(list, scope, ',');) {
    if (scope != "infer" && scope != "admin") {
      bad_line(line, "a scope must be infer or admin");
    }
    (scope == "infer" ? caller.infer : caller.admin) = true;
  }
}

void set_option(Caller& caller, const std::string& option, std::size_t line) {
  const std::size_t equals = option.find('=');
  const std::string name = option.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  if (name == "name" && !value.empty() && value.size() <= 64) {
    caller.name = value;
  } else if (name == "scope") {
    set_scopes(caller, value, line);
  } else if (name == "sessions") {
    caller.max_sessions = parse_limit(value, line);
  } else if (name == "sessions-per-day") {
    caller.max_sessions_per_day = parse_limit(value, line);
  } else {
    bad_line(line, "after the token come name=, scope=, sessions= and sessions-per-day= only");
  }
}

}  // namespace

TokenTable TokenTable::parse(std::string_view text, TokenLimits limits) {
  TokenTable table;
  std::istringstream lines{std::string(text)};
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string token;
    if (!(words >> token) || token.front() == '#') {
      continue;
    }
    if (!is_token(token)) {
      bad_line(number, "a token has " + std::to_string(kMinToken) + " to " + std::to_string(kMaxToken) +
                           " characters of A-Z a-z 0-9 . _ ~ + / = -");
    }
    Entry entry;
    entry.hash = sha256(as_bytes(token));
    entry.caller.id = to_hex(ByteView(entry.hash).first(kIdBytes));
    entry.caller.name = entry.caller.id;
    entry.caller.max_sessions = limits.sessions;
    entry.caller.max_sessions_per_day = limits.sessions_per_day;
    for (std::string option; words >> option && option.front() != '#';) {
      set_option(entry.caller, option, number);
    }
    const bool known = std::any_of(table.entries_.begin(), table.entries_.end(),
                                   [&](const Entry& other) { return other.hash == entry.hash; });
    if (known) {
      bad_line(number, "the token stands in the file already");
    }
    table.entries_.push_back(std::move(entry));
  }
  return table;
}

std::optional<Caller> TokenTable::find(std::string_view token) const {
  const Sha256 hash = sha256(as_bytes(token));
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    const bool same = CRYPTO_memcmp(entry.hash.data(), hash.data(), hash.size()) == 0;
    found = same ? &entry : found;
  }
  return found == nullptr ? std::nullopt : std::optional(found->caller);
}

Authenticator::Authenticator(std::string file, TokenLimits limits) : file_(std::move(file)), limits_(limits) {
  reload();
}

void Authenticator::reload() {
  if (!required()) {
    return;
  }
  const SecretBytes text = read_secret_file(file_, {.what = "the token file",
                                                    .code = "tokens.permissions",
                                                    .max_bytes = kMaxFile,
                                                    .group_may_reach = true});
  TokenTable fresh =
      TokenTable::parse({reinterpret_cast<const char*>(text.view().data()), text.size()}, limits_);
  if (fresh.size() == 0) {
    throw InputError("tokens.empty", "The token file " + file_ + " holds no token");
  }
  const std::lock_guard lock(mutex_);
  table_ = std::move(fresh);
}

Caller Authenticator::authenticate(std::string_view authorization) const {
  if (!required()) {
    Caller everybody;
    everybody.admin = true;
    everybody.max_sessions = limits_.sessions;
    everybody.max_sessions_per_day = limits_.sessions_per_day;
    return everybody;
  }
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) {
    throw Refusal(RefusalKind::unauthenticated, "auth.missing",
                  "This service asks for a token: send the header Authorization: Bearer TOKEN");
  }
  const std::lock_guard lock(mutex_);
  std::optional<Caller> caller = table_.find(authorization.substr(kScheme.size()));
  if (!caller) {
    throw Refusal(RefusalKind::unauthenticated, "auth.unknown", "This token is not known here");
  }
  return std::move(*caller);
}

}  // namespace popcorn::service
