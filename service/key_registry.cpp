#include "service/key_registry.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/error.h"
#include "service/refusal.h"

namespace popcorn::service {

namespace {

bool contains(const std::deque<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

KeyRegistry::Entry* KeyRegistry::lookup_locked(const std::string& key_id, const std::string& caller) {
  const auto found = keys_.find(key_id);
  if (found == keys_.end() || !found->second.registrations.contains(caller)) {
    return nullptr;
  }
  found->second.last_used = ++uses_;
  return &found->second;
}

KeyRegistry::Entry& KeyRegistry::enter_locked(const paillier::PublicKey& key) {
  const std::string key_id = to_hex(key.fingerprint());
  auto found = keys_.find(key_id);
  if (found == keys_.end()) {
    make_room_for_key_locked();
    found = keys_.emplace(key_id, Entry{key, {}, nullptr, false, 0}).first;
  }
  found->second.last_used = ++uses_;
  return found->second;
}

bool KeyRegistry::add(const paillier::PublicKey& key, const std::string& caller) {
  const bool is_new = shared_ && shared_->add(to_hex(key.fingerprint()), caller, key.serialise());
  const std::lock_guard lock(mutex_);
  const bool is_new_here = enter_locked(key).registrations.try_emplace(caller).second;
  return shared_ ? is_new : is_new_here;
}

std::optional<paillier::PublicKey> KeyRegistry::find(const std::string& key_id, const std::string& caller) {
  const std::optional<Bytes> stored = shared_ ? shared_->find(key_id, caller) : std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (shared_ && !stored) {
      forget_locked(key_id, caller);
      return std::nullopt;
    }
    if (const Entry* entry = lookup_locked(key_id, caller)) {
      return entry->key;
    }
  }
  if (!stored) {
    return std::nullopt;
  }
  try {
    // It passed the server's policy on sizes when it was registered, but perhaps before proofs were asked
    // for.
    const auto key = paillier::PublicKey::parse(*stored, paillier::KeySizePolicy::insecure_test,
                                                paillier::ProofPolicy::required);
    const std::lock_guard lock(mutex_);
    enter_locked(key).registrations.try_emplace(caller);
    return key;
  } catch (const InputError&) {
    shared_->forget(key_id, caller);  // its owner registers it again, with the proof
    return std::nullopt;
  }
}

void KeyRegistry::forget_locked(const std::string& key_id, const std::string& caller) {
  Entry* entry = lookup_locked(key_id, caller);
  if (entry == nullptr) {
    return;
  }
  entry->registrations.erase(caller);
  if (entry->registrations.empty() && !entry->making_context) {
    keys_.erase(key_id);
  }
}

bool KeyRegistry::forget(const std::string& key_id, const std::string& caller) {
  const bool was_stored = shared_ && shared_->forget(key_id, caller);
  const std::lock_guard lock(mutex_);
  const bool was_here = lookup_locked(key_id, caller) != nullptr;
  forget_locked(key_id, caller);
  return shared_ ? was_stored : was_here;
}

std::shared_ptr<const paillier::PublicContext> KeyRegistry::context(const std::string& key_id,
                                                                    const std::string& caller) {
  const std::optional<paillier::PublicKey> key = find(key_id, caller);
  if (!key) {
    throw Refusal(RefusalKind::not_found, "key.not_found",
                  "This key is not registered here; register it with POST /v2/keys");
  }
  return context(*key);
}

std::shared_ptr<const paillier::PublicContext> KeyRegistry::context(const paillier::PublicKey& key) {
  const std::string key_id = to_hex(key.fingerprint());
  std::unique_lock lock(mutex_);
  for (;;) {
    Entry& entry = enter_locked(key);
    if (entry.context) {
      return entry.context;
    }
    if (!entry.making_context) {
      entry.making_context = true;
      break;
    }
    context_made_.wait(lock);
  }
  lock.unlock();
  std::shared_ptr<const paillier::PublicContext> made;
  try {
    made = paillier::PublicContext::create(key);
  } catch (...) {
    lock.lock();
    keys_.at(key_id).making_context = false;
    context_made_.notify_all();
    throw;
  }
  lock.lock();
  Entry& entry = keys_.at(key_id);
  entry.making_context = false;
  entry.context = made;
  make_room_for_contexts_locked();
  context_made_.notify_all();
  return made;
}

void KeyRegistry::keep_set_up(const std::string& key_id, const std::string& caller,
                              std::shared_ptr<const protocols::ot::KeptSetUp> set_up) {
  if (shared_) {
    Bytes bytes;
    set_up->serialise(bytes);
    shared_->keep_set_up(key_id, caller, to_hex(set_up->id()), bytes, kSetUpsPerKey);
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return;
  }
  const std::lock_guard lock(mutex_);
  Entry* entry = lookup_locked(key_id, caller);
  if (entry == nullptr) {
    return;
  }
  if (contains(dropped_, to_hex(set_up->id()))) {
    return;
  }
  auto& kept = entry->registrations.at(caller).set_ups;
  kept.push_back(std::move(set_up));
  if (kept.size() > kSetUpsPerKey) {
    kept.pop_front();
  }
}

std::shared_ptr<const protocols::ot::KeptSetUp> KeyRegistry::set_up(const std::string& key_id,
                                                                    const std::string& caller,
                                                                    const std::string& name) {
  if (shared_) {
    if (set_up_is_dropped(name)) {
      return nullptr;
    }
    std::optional<Bytes> bytes = shared_->set_up(key_id, caller, name);
    if (!bytes) {
      return nullptr;
    }
    std::shared_ptr<const protocols::ot::KeptSetUp> kept;
    try {
      kept = protocols::ot::server_set_up(*bytes);
    } catch (const InputError&) {
      // Of another version of this program: the session makes a new one.
    }
    OPENSSL_cleanse(bytes->data(), bytes->size());
    return kept;
  }
  const std::lock_guard lock(mutex_);
  Entry* entry = lookup_locked(key_id, caller);
  if (entry == nullptr) {
    return nullptr;
  }
  for (const auto& kept : entry->registrations.at(caller).set_ups) {
    if (to_hex(kept->id()) == name) {
      return kept;
    }
  }
  return nullptr;
}

void KeyRegistry::drop_set_up(const std::string& key_id, const std::string& caller, const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    dropped_.push_back(name);
    if (dropped_.size() > kDroppedSetUps) {
      dropped_.pop_front();
    }
    if (shared_) {
      untold_.push_back({key_id, caller, name});
    } else if (Entry* entry = lookup_locked(key_id, caller)) {
      std::erase_if(entry->registrations.at(caller).set_ups,
                    [&](const auto& kept) { return to_hex(kept->id()) == name; });
    }
  }
  tell_dropped();
}

void KeyRegistry::tell_dropped() {
  std::unique_lock lock(mutex_);
  while (!untold_.empty()) {
    const Dropped next = untold_.front();
    lock.unlock();
    try {
      shared_->drop_set_up(next.key_id, next.caller, next.name);
    } catch (const Refusal&) {
      return;  // the store is away: the next time
    }
    lock.lock();
    std::erase_if(untold_, [&](const Dropped& other) { return other.name == next.name; });
  }
}

bool KeyRegistry::set_up_is_dropped(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (contains(dropped_, name)) {
      return true;
    }
  }
  return shared_ && shared_->set_up_is_dropped(name);
}

std::size_t KeyRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(keys_, [](const auto& item) { return !item.second.registrations.empty(); }));
}

void KeyRegistry::make_room_for_key_locked() {
  while (keys_.size() >= options_.max_keys) {
    auto oldest = keys_.end();
    for (auto it = keys_.begin(); it != keys_.end(); ++it) {
      const bool in_use = it->second.making_context || it->second.context.use_count() > 1;
      if (!in_use && (oldest == keys_.end() || it->second.last_used < oldest->second.last_used)) {
        oldest = it;
      }
    }
    if (oldest == keys_.end()) {
      throw Refusal(RefusalKind::unavailable, "key.registry_full",
                    "All registered keys are in use; ask again later", 10);
    }
    keys_.erase(oldest);
  }
}

void KeyRegistry::make_room_for_contexts_locked() {
  for (;;) {
    std::uint64_t total = 0;
    Entry* oldest = nullptr;
    for (auto& [key_id, entry] : keys_) {
      if (!entry.context) {
        continue;
      }
      total += entry.context->memory_bytes();
      const bool in_use = entry.context.use_count() > 1;
      if (!in_use && (oldest == nullptr || entry.last_used < oldest->last_used)) {
        oldest = &entry;
      }
    }
    if (total <= options_.max_context_bytes || oldest == nullptr) {
      return;
    }
    oldest->context.reset();
  }
}

}  // namespace popcorn::service
