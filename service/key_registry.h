// Registered public keys, what is precomputed for them, and the set-ups of transfers that sessions under them
// have left.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "paillier/evaluator.h"
#include "paillier/keys/keys.h"
#include "protocols/ot/set_up.h"
#include "service/store/shared_store.h"

namespace popcorn::service {

struct KeyRegistryOptions {
  std::size_t max_keys = 256;
  std::uint64_t max_context_bytes = std::uint64_t{2} << 30;  ///< of tables kept for keys without a session
};

/// Thread-safe. A key belongs to every caller who registered it; to all others it does not exist.
class KeyRegistry {
 public:
  explicit KeyRegistry(KeyRegistryOptions options) : options_(options) {}
  /// From now on the store says which keys are registered, and this object only keeps what it makes of them;
  /// all but size() then also throw what the store throws. Call it before anything else.
  void use(std::unique_ptr<KeyStore> shared) { shared_ = std::move(shared); }

  /// True when the caller had not registered it. The least recently used key without a session makes room.
  /// @throws Refusal unavailable "key.registry_full"
  bool add(const paillier::PublicKey& key, const std::string& caller);
  /// A key that the store has without a proof, from before these were asked for, is forgotten: to its owner
  /// it is not registered.
  std::optional<paillier::PublicKey> find(const std::string& key_id, const std::string& caller);
  /// False when there is no such key of this caller. Sessions that run keep what they need.
  bool forget(const std::string& key_id, const std::string& caller);

  /// The key's tables, made when first needed (about a second). @throws Refusal not_found "key.not_found"
  std::shared_ptr<const paillier::PublicContext> context(const std::string& key_id,
                                                         const std::string& caller);
  /// The tables of a key that a session brought along from another server.
  std::shared_ptr<const paillier::PublicContext> context(const paillier::PublicKey& key);

  /// Keeps a set-up for later sessions of this caller under this key; of more than kSetUpsPerKey the oldest
  /// is forgotten. Nothing happens when the key was forgotten meanwhile.
  void keep_set_up(const std::string& key_id, const std::string& caller,
                   std::shared_ptr<const protocols::ot::KeptSetUp> set_up);
  /// The set-up of that name (in hexadecimal), or null: then the session makes a new one.
  std::shared_ptr<const protocols::ot::KeptSetUp> set_up(const std::string& key_id, const std::string& caller,
                                                         const std::string& name);
  /// Forgets a set-up for good: a check that rests on its secrets failed, and every session that uses it has
  /// to end. A name is remembered whatever becomes of the key.
  void drop_set_up(const std::string& key_id, const std::string& caller, const std::string& name);
  bool set_up_is_dropped(const std::string& name);
  /// Tells the shared store of those dropped while it was away.
  void tell_dropped();
  /// Keys that are registered (here, where a store is shared).
  std::size_t size() const;

  /// A client may hold as many at a time: one for each of its machines or files.
  static constexpr std::size_t kSetUpsPerKey = 4;
  /// Names of dropped set-ups that are remembered: more than there are sessions at a time.
  static constexpr std::size_t kDroppedSetUps = 16384;

 private:
  struct Dropped {
    std::string key_id, caller, name;
  };

  /// What belongs to one of those who registered a key.
  struct Registration {
    std::deque<std::shared_ptr<const protocols::ot::KeptSetUp>> set_ups;  ///< oldest first
  };
  struct Entry {
    paillier::PublicKey key;
    std::map<std::string, Registration> registrations;  ///< by caller
    std::shared_ptr<const paillier::PublicContext> context;
    bool making_context = false;
    std::uint64_t last_used = 0;
  };

  Entry& enter_locked(const paillier::PublicKey& key);
  void forget_locked(const std::string& key_id, const std::string& caller);
  Entry* lookup_locked(const std::string& key_id, const std::string& caller);
  void make_room_for_key_locked();
  void make_room_for_contexts_locked();

  const KeyRegistryOptions options_;
  std::unique_ptr<KeyStore> shared_;
  mutable std::mutex mutex_;
  std::condition_variable context_made_;
  std::map<std::string, Entry> keys_;  ///< by fingerprint in hexadecimal
  std::deque<std::string> dropped_;    ///< names of set-ups, oldest first
  std::deque<Dropped> untold_;         ///< of which the shared store does not know
  std::uint64_t uses_ = 0;
};

}  // namespace popcorn::service
