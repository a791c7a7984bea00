// Who may use the service: bearer tokens from a file, kept as hashes only.
//
//   # one token a line; everything after the token is optional
//   3f9c…e1                  name=alice sessions=4 sessions-per-day=100
//   77ab…02                  name=ops scope=infer,admin
//
// A token has 16 to 256 characters of A-Z a-z 0-9 . _ ~ + / = -; take 32 random ones.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"

namespace popcorn::service {

/// Somebody who asks. Sessions and keys belong to an id and do not exist for others.
struct Caller {
  std::string id;       ///< from the token's hash; empty when the server asks for none
  std::string name;     ///< for logs
  std::string address;  ///< what limits are counted for when there is no id, see address_group()
  bool infer = true;
  bool admin = false;
  std::size_t max_sessions = 0;            ///< at once; 0 = no limit of its own
  std::uint64_t max_sessions_per_day = 0;  ///< since midnight UTC; 0 = no limit of its own
};

/// What holds for a token whose line sets no limit of its own, and for each address when no tokens are asked
/// for; 0 = no limit.
struct TokenLimits {
  std::size_t sessions = 0;
  std::uint64_t sessions_per_day = 0;
};

/// @throws InputError "tokens.*" that names the line, never the token
class TokenTable {
 public:
  static TokenTable parse(std::string_view text, TokenLimits limits = {});

  /// Takes the same time whether and where a token is found.
  std::optional<Caller> find(std::string_view token) const;
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    Sha256 hash{};
    Caller caller;
  };
  std::vector<Entry> entries_;
};

/// The table of a file, replaced as a whole by reload(). Thread-safe.
class Authenticator {
 public:
  /// Asks for no token: everybody is the same anonymous caller, with these limits for each address.
  explicit Authenticator(TokenLimits limits = {}) : limits_(limits) {}
  /// @throws IoError, InputError "tokens.*"
  Authenticator(std::string file, TokenLimits limits);

  /// Reads the file again; a broken one leaves the old table in force. @throws IoError, InputError
  void reload();
  bool required() const noexcept { return !file_.empty(); }
  /// @param authorization the header's value. @throws Refusal unauthenticated "auth.missing", "auth.unknown"
  Caller authenticate(std::string_view authorization) const;

 private:
  const std::string file_;
  const TokenLimits limits_{};
  mutable std::mutex mutex_;
  TokenTable table_;
};

}  // namespace popcorn::service
