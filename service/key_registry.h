// Registered public keys and what is precomputed for them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "paillier/evaluator.h"
#include "paillier/keys.h"

namespace popcorn::service {

struct KeyRegistryOptions {
  std::size_t max_keys = 256;
  std::uint64_t max_context_bytes = std::uint64_t{2} << 30;  ///< of tables kept for keys without a session
};

/// Thread-safe. A key belongs to every caller who registered it; to all others it does not exist.
class KeyRegistry {
 public:
  explicit KeyRegistry(KeyRegistryOptions options) : options_(options) {}

  /// True when the caller had not registered it. The least recently used key without a session makes room.
  /// @throws Refusal unavailable "key.registry_full"
  bool add(const paillier::PublicKey& key, const std::string& caller);
  std::optional<paillier::PublicKey> find(const std::string& key_id, const std::string& caller);
  /// False when there is no such key of this caller. Sessions that run keep what they need.
  bool forget(const std::string& key_id, const std::string& caller);

  /// The key's tables, made when first needed (about a second). @throws Refusal not_found "key.not_found"
  std::shared_ptr<const paillier::PublicContext> context(const std::string& key_id,
                                                         const std::string& caller);
  std::size_t size() const;

 private:
  struct Entry {
    paillier::PublicKey key;
    std::set<std::string> callers;
    std::shared_ptr<const paillier::PublicContext> context;
    bool making_context = false;
    std::uint64_t last_used = 0;
  };

  Entry* lookup_locked(const std::string& key_id, const std::string& caller);
  void make_room_for_key_locked();
  void make_room_for_contexts_locked();

  const KeyRegistryOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable context_made_;
  std::map<std::string, Entry> keys_;  ///< by fingerprint in hexadecimal
  std::uint64_t uses_ = 0;
};

}  // namespace popcorn::service
