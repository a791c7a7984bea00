// Registered keys on Redis.
//
//   PREFIX k:CALLER:KEY   the public key, sealed
//   PREFIX o:CALLER:KEY   list of set-ups of transfers, newest first: name and sealed bytes
//   PREFIX x:NAME         a set-up that a failed check has ended
//   PREFIX keys           sorted set of CALLER:KEY by the time of the last use
#include "service/store/redis_session_store.h"

namespace popcorn::service {
namespace {

/// Without a use for so long, a key is forgotten.
constexpr const char* kKeyLife = "2592000000";  // ms: 30 days

/// KEYS key, all; ARGV member, sealed, most, life, prefix. 1 when it is new; one that is not is written anew,
/// since what is there may be the same key without its proof.
constexpr const char* kAdd = R"(
local clock = redis.call('TIME')
local is_new = redis.call('EXISTS', KEYS[1]) == 0
if is_new then
  while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) do
    local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
    redis.call('DEL', ARGV[5] .. 'k:' .. oldest, ARGV[5] .. 'o:' .. oldest)
    redis.call('ZREM', KEYS[2], oldest)
  end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], clock[1], ARGV[1])
return is_new and 1 or 0
)";

/// KEYS key, all; ARGV member, life. The sealed key.
constexpr const char* kFindKey = R"(
local clock = redis.call('TIME')
local sealed = redis.call('GET', KEYS[1])
if sealed then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('ZADD', KEYS[2], clock[1], ARGV[1])
end
return sealed
)";

/// KEYS key, set-ups, all; ARGV member. How many keys there were.
constexpr const char* kForget = R"(
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return redis.call('DEL', KEYS[1])
)";

/// KEYS key, set-ups; ARGV name and sealed bytes, most, life.
constexpr const char* kKeepSetUp = R"(
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[2]) - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
)";

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class RedisKeyStore final : public KeyStore {
 public:
  RedisKeyStore(std::shared_ptr<RedisPool> redis, StoreCipher cipher, std::size_t max_keys)
      : redis_(std::move(redis)), cipher_(std::move(cipher)), max_keys_(std::to_string(max_keys)) {}

  bool add(const std::string& key_id, const std::string& caller, ByteView public_key) override {
    const std::string member = member_of(key_id, caller);
    const Bytes sealed = cipher_.seal(public_key, "key " + member);
    return redis_
               ->script(kAdd, {key("k:" + member), key("keys")},
                        {member, text_of(sealed), max_keys_, kKeyLife, redis_->options().prefix})
               .integer == 1;
  }

  std::optional<Bytes> find(const std::string& key_id, const std::string& caller) override {
    const std::string member = member_of(key_id, caller);
    const RedisValue found = redis_->script(kFindKey, {key("k:" + member), key("keys")}, {member, kKeyLife});
    if (found.kind != RedisValue::Kind::text) {
      return std::nullopt;
    }
    return cipher_.open(found.bytes(), "key " + member);
  }

  bool forget(const std::string& key_id, const std::string& caller) override {
    const std::string member = member_of(key_id, caller);
    return redis_->script(kForget, {key("k:" + member), key("o:" + member), key("keys")}, {member}).integer >
           0;
  }

  void keep_set_up(const std::string& key_id, const std::string& caller, const std::string& name,
                   ByteView set_up, std::size_t most) override {
    const std::string member = member_of(key_id, caller);
    const Bytes sealed = cipher_.seal(set_up, set_up_place(member, name));
    const std::string entry = name + std::string(text_of(sealed));
    const std::string number = std::to_string(most);
    redis_->script(kKeepSetUp, {key("k:" + member), key("o:" + member)}, {entry, number, kKeyLife});
  }

  std::optional<Bytes> set_up(const std::string& key_id, const std::string& caller,
                              const std::string& name) override {
    const std::string member = member_of(key_id, caller);
    const std::string list = key("o:" + member);
    for (const RedisValue& entry : redis_->run({"LRANGE", list, "0", "-1"}).list) {
      if (entry.text.starts_with(name) && name.size() == kNameSize) {
        return cipher_.open(entry.bytes().subspan(kNameSize), set_up_place(member, name));
      }
    }
    return std::nullopt;
  }

  void drop_set_up(const std::string& key_id, const std::string& caller, const std::string& name) override {
    redis_->run({"SET", key("x:" + name), "1", "PX", kKeyLife});
    const std::string list = key("o:" + member_of(key_id, caller));
    for (const RedisValue& entry : redis_->run({"LRANGE", list, "0", "-1"}).list) {
      if (entry.text.starts_with(name)) {
        redis_->run({"LREM", list, "0", entry.text});
      }
    }
  }

  bool set_up_is_dropped(const std::string& name) override {
    return redis_->run({"EXISTS", key("x:" + name)}).integer > 0;
  }

 private:
  static constexpr std::size_t kNameSize = 32;  ///< hexadecimal digits

  std::string key(const std::string& rest) const { return redis_->options().prefix + rest; }
  static std::string member_of(const std::string& key_id, const std::string& caller) {
    return caller_name(caller) + ":" + key_id;
  }
  static std::string set_up_place(const std::string& member, const std::string& name) {
    return "set-up " + name + " of " + member;
  }

  const std::shared_ptr<RedisPool> redis_;
  const StoreCipher cipher_;
  const std::string max_keys_;
};

}  // namespace

std::unique_ptr<KeyStore> make_redis_key_store(std::shared_ptr<RedisPool> redis, StoreCipher cipher,
                                               std::size_t max_keys) {
  return std::make_unique<RedisKeyStore>(std::move(redis), std::move(cipher), max_keys);
}

}  // namespace popcorn::service
