// The session store on Redis, for several replicas of the server.
#pragma once

#include <memory>

#include "service/store/redis_connection.h"
#include "service/store/shared_store.h"
#include "service/store/store_cipher.h"

namespace popcorn::service {

std::unique_ptr<SessionStore> make_redis_session_store(std::shared_ptr<RedisPool> redis, StoreCipher cipher,
                                                       const SharedStoreOptions& options,
                                                       SessionRestorer restore);
std::unique_ptr<KeyStore> make_redis_key_store(std::shared_ptr<RedisPool> redis, StoreCipher cipher,
                                               std::size_t max_keys);

/// A caller in the name of a Redis key.
std::string caller_name(const std::string& caller);

}  // namespace popcorn::service
