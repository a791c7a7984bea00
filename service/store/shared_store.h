// Sessions and keys that outlive a process: kept where several replicas of the server find them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "service/store/session_store.h"

namespace popcorn::service {

/// Registered keys and set-ups of transfers, for all replicas. Thread-safe. A store that does not answer:
/// @throws Refusal unavailable "server.store"
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  /// True when the caller had not registered it. The key that was asked for least lately makes room.
  virtual bool add(const std::string& key_id, const std::string& caller, ByteView public_key) = 0;
  virtual std::optional<Bytes> find(const std::string& key_id, const std::string& caller) = 0;
  /// With its set-ups. False when there was none.
  virtual bool forget(const std::string& key_id, const std::string& caller) = 0;
  /// Of more than `most` the oldest is forgotten; nothing happens when the key is not registered.
  virtual void keep_set_up(const std::string& key_id, const std::string& caller, const std::string& name,
                           ByteView set_up, std::size_t most) = 0;
  virtual std::optional<Bytes> set_up(const std::string& key_id, const std::string& caller,
                                      const std::string& name) = 0;
  /// Forgets the set-up and remembers its name for as long as a session may live.
  virtual void drop_set_up(const std::string& key_id, const std::string& caller, const std::string& name) = 0;
  virtual bool set_up_is_dropped(const std::string& name) = 0;
};

struct SharedStoreOptions {
  std::string url;       ///< "redis://host:port/database", see RedisOptions::parse()
  std::string password;  ///< of the store; empty = none
  std::string key_file;  ///< that seals what is kept; may be empty on the same machine only
  std::size_t max_keys = 256;
  SessionStoreOptions sessions{};
  /// How long a round that a process computes belongs to it after it was last heard of.
  std::chrono::milliseconds lease{10'000};
  std::string claim_log;  ///< file of service/store/claim_log.h; empty = what was seen is in memory alone
  /// When Redis was started again: how long a server from before may take to confirm what it knows.
  std::chrono::milliseconds patience{5000};
};

struct SharedStore {
  std::unique_ptr<KeyStore> keys;
  std::unique_ptr<SessionStore> sessions;
};

/// Asks the store whether it is there. @throws UsageError "store.*"; IoError, InputError "store_key.*";
/// NetworkError "store.unreachable"
SharedStore open_shared_store(const SharedStoreOptions& options, SessionRestorer restore);

}  // namespace popcorn::service
