#include "service/key_registry.h"

#include <algorithm>

#include "service/refusal.h"

namespace popcorn::service {

KeyRegistry::Entry* KeyRegistry::lookup_locked(const std::string& key_id, const std::string& caller) {
  const auto found = keys_.find(key_id);
  if (found == keys_.end() || !found->second.registrations.contains(caller)) {
    return nullptr;
  }
  found->second.last_used = ++uses_;
  return &found->second;
}

bool KeyRegistry::add(const paillier::PublicKey& key, const std::string& caller) {
  const std::string key_id = to_hex(key.fingerprint());
  const std::lock_guard lock(mutex_);
  auto found = keys_.find(key_id);
  if (found == keys_.end()) {
    make_room_for_key_locked();
    found = keys_.emplace(key_id, Entry{key, {}, nullptr, false, 0}).first;
  }
  found->second.last_used = ++uses_;
  return found->second.registrations.try_emplace(caller).second;
}

std::optional<paillier::PublicKey> KeyRegistry::find(const std::string& key_id, const std::string& caller) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = lookup_locked(key_id, caller);
  return entry == nullptr ? std::nullopt : std::optional(entry->key);
}

bool KeyRegistry::forget(const std::string& key_id, const std::string& caller) {
  const std::lock_guard lock(mutex_);
  Entry* entry = lookup_locked(key_id, caller);
  if (entry == nullptr) {
    return false;
  }
  entry->registrations.erase(caller);
  if (entry->registrations.empty() && !entry->making_context) {
    keys_.erase(key_id);
  }
  return true;
}

std::shared_ptr<const paillier::PublicContext> KeyRegistry::context(const std::string& key_id,
                                                                    const std::string& caller) {
  std::unique_lock lock(mutex_);
  for (;;) {
    Entry* entry = lookup_locked(key_id, caller);
    if (entry == nullptr) {
      throw Refusal(RefusalKind::not_found, "key.not_found",
                    "This key is not registered here; register it with POST /v2/keys");
    }
    if (entry->context) {
      return entry->context;
    }
    if (!entry->making_context) {
      entry->making_context = true;
      break;
    }
    context_made_.wait(lock);
  }
  const paillier::PublicKey key = keys_.at(key_id).key;
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
  if (entry.registrations.empty()) {
    keys_.erase(key_id);
  } else {
    entry.context = made;
    make_room_for_contexts_locked();
  }
  context_made_.notify_all();
  return made;
}

void KeyRegistry::keep_set_up(const std::string& key_id, const std::string& caller,
                              std::shared_ptr<const protocols::SignTestState> set_up) {
  const std::lock_guard lock(mutex_);
  Entry* entry = lookup_locked(key_id, caller);
  if (entry == nullptr) {
    return;
  }
  auto& kept = entry->registrations.at(caller).set_ups;
  kept.push_back(std::move(set_up));
  if (kept.size() > kSetUpsPerKey) {
    kept.pop_front();
  }
}

std::shared_ptr<const protocols::SignTestState> KeyRegistry::set_up(const std::string& key_id,
                                                                    const std::string& caller,
                                                                    const std::string& name) {
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

std::size_t KeyRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return keys_.size();
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
