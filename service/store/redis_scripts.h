// What Redis does in one piece. Times are milliseconds of Redis' own clock, so replicas need not agree on
// theirs.
//
//   PREFIX s:ID        hash of a session: phase, info, owner (its account's set), next, exp, state, answer,
//                      last_body; while a round is computed lease, lease_body, lease_until; of a preparation
//                      stock, stock_owner (the sets it counts in), at (its rounds), claimed (by what name);
//                      stays when it goes on in one server's memory: to all others it is gone
//   PREFIX active      sorted set of the sessions that have not ended, by exp
//   PREFIX a:ACCOUNT   the same of one account
//   PREFIX stock       sorted set of the preparations, and of the sessions that make some, by exp
//   PREFIX p:ACCOUNT   the same of one account
//   PREFIX claims      how many preparations were ever claimed
//   PREFIX run         of Redis, the one in which a server confirmed that
//   PREFIX run:since   since when it is not confirmed
//   PREFIX d:DAY:ACCOUNT  sessions opened on a day
#pragma once

namespace popcorn::service::redis_scripts {

/// Before every script. `life` is how long a session lives after its last round; one that ended is remembered
/// for as long.
inline constexpr const char* kCommon = R"(
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function text(x) return string.format('%.0f', x) end
local function finish(key, life)
  redis.call('HDEL', key, 'state', 'answer', 'last_body', 'lease', 'lease_body', 'lease_until')
  redis.call('HSET', key, 'phase', 'gone')
  redis.call('PEXPIRE', key, life)
end
local function phase_of(key, life)
  local f = redis.call('HMGET', key, 'phase', 'exp', 'lease_until')
  if not f[1] then return nil end
  if f[1] ~= 'gone' and tonumber(f[2]) < now and tonumber(f[3] or '0') < now then
    finish(key, life)
    return 'gone'
  end
  return f[1]
end
local function touch(key, life)
  redis.call('HSET', key, 'exp', text(now + life))
  redis.call('PEXPIRE', key, 2 * life)
end
local function list(key, life, active, owner, id)
  redis.call('ZADD', active, text(now + life), id)
  redis.call('ZADD', owner, text(now + life), id)
  if redis.call('PTTL', owner) < 2 * life then redis.call('PEXPIRE', owner, 2 * life) end
end
local function unlist(active, owner, id)
  redis.call('ZREM', active, id)
  redis.call('ZREM', owner, id)
end
local function stock(key, life, id)
  local f = redis.call('HMGET', key, 'stock', 'stock_owner', 'claimed')
  if f[1] and not f[3] then list(key, life, f[1], f[2], id) end
end
local function unstock(key, id)
  local f = redis.call('HMGET', key, 'stock', 'stock_owner')
  if f[1] then unlist(f[1], f[2], id) end
end
)";

/// KEYS session, active, owner, stock, stock of the account; ARGV life, id, info, state, most sessions, most
/// of the account (0 = any), rounds of a preparation (0 = none), most preparations, most of the account (0 =
/// any). 1, 0 when the store is full, 2 when the account has as many as it may; 3 and 4 the same of
/// preparations.
inline constexpr const char* kCreate = R"(
local life = tonumber(ARGV[1])
if redis.call('ZCOUNT', KEYS[2], text(now), '+inf') >= tonumber(ARGV[5]) then return 0 end
if tonumber(ARGV[6]) > 0 and redis.call('ZCOUNT', KEYS[3], text(now), '+inf') >= tonumber(ARGV[6]) then return 2 end
if tonumber(ARGV[7]) > 0 then
  if redis.call('ZCOUNT', KEYS[4], text(now), '+inf') >= tonumber(ARGV[8]) then return 3 end
  if tonumber(ARGV[9]) > 0 and redis.call('ZCOUNT', KEYS[5], text(now), '+inf') >= tonumber(ARGV[9]) then return 4 end
  redis.call('HSET', KEYS[1], 'at', ARGV[7], 'stock', KEYS[4], 'stock_owner', KEYS[5])
end
redis.call('HSET', KEYS[1], 'phase', 'active', 'info', ARGV[3], 'state', ARGV[4], 'next', '0', 'owner', KEYS[3])
touch(KEYS[1], life)
list(KEYS[1], life, KEYS[2], KEYS[3], ARGV[2])
stock(KEYS[1], life, ARGV[2])
return 1
)";

/// KEYS session; ARGV life. Nothing, or {phase, info, next, exp, 1 while a round is computed, 1 when
/// claimed}.
inline constexpr const char* kFind = R"(
local phase = phase_of(KEYS[1], tonumber(ARGV[1]))
if not phase then return false end
local f = redis.call('HMGET', KEYS[1], 'info', 'next', 'exp', 'lease_until', 'claimed', 'stays')
if f[6] then phase = 'gone' end
return {phase, f[1], f[2], f[3], tonumber(f[4] or '0') >= now and 1 or 0, f[5] and 1 or 0}
)";

/// KEYS session; ARGV life, round, body, token, lease. {what, next round, answer}. A lease that ran out is
/// given to the same body only.
inline constexpr const char* kClaim = R"(
local phase = phase_of(KEYS[1], tonumber(ARGV[1]))
if not phase then return {'unknown', 0} end
local f = redis.call('HMGET', KEYS[1], 'next', 'last_body', 'lease', 'lease_body', 'lease_until', 'stays')
local next, round = tonumber(f[1]), tonumber(ARGV[2])
if phase == 'gone' or f[6] then return {'gone', next} end
if round + 1 == next and f[2] then
  if f[2] ~= ARGV[3] then return {'other_body', next} end
  return {'answered', next, redis.call('HGET', KEYS[1], 'answer')}
end
if round ~= next or phase == 'finished' then return {'out_of_order', next} end
if phase == 'prepared' then return {'unclaimed', next} end
if f[4] and f[4] ~= ARGV[3] then return {'other_body', next} end
if f[3] and f[3] ~= ARGV[4] and tonumber(f[5]) >= now then return {'running', next} end
redis.call('HSET', KEYS[1], 'lease', ARGV[4], 'lease_body', ARGV[3], 'lease_until', text(now + tonumber(ARGV[5])))
return {'granted', next}
)";

/// KEYS session; ARGV life, round. {what, next round, answer}.
inline constexpr const char* kPeek = R"(
local phase = phase_of(KEYS[1], tonumber(ARGV[1]))
if not phase then return {'unknown', 0} end
local f = redis.call('HMGET', KEYS[1], 'next', 'last_body', 'lease_until', 'stays')
local next, round = tonumber(f[1]), tonumber(ARGV[2])
if phase == 'gone' or f[4] then return {'gone', next} end
if round + 1 == next and f[2] then return {'answered', next, redis.call('HGET', KEYS[1], 'answer')} end
if round == next and tonumber(f[3] or '0') >= now then return {'running', next} end
return {'out_of_order', next}
)";

/// KEYS session, active; ARGV life, id, round, body, token, answer, state (empty = finished), life of a
/// preparation, 1 when the session goes on in the server's memory. {what, answer}:
/// stored; prepared when it is a preparation now; answered when another process was faster; lost when the
/// claim is not held any more; gone.
inline constexpr const char* kCommit = R"(
local life = tonumber(ARGV[1])
local phase = phase_of(KEYS[1], life)
if not phase or phase == 'gone' then return {'gone'} end
local f = redis.call('HMGET', KEYS[1], 'next', 'last_body', 'lease', 'owner', 'at', 'claimed')
local next, round = tonumber(f[1]), tonumber(ARGV[3])
if next == round + 1 and f[2] == ARGV[4] then return {'answered', redis.call('HGET', KEYS[1], 'answer')} end
if next ~= round or f[3] ~= ARGV[5] then return {'lost'} end
redis.call('HDEL', KEYS[1], 'lease', 'lease_body', 'lease_until')
redis.call('HSET', KEYS[1], 'next', text(round + 1), 'last_body', ARGV[4], 'answer', ARGV[6])
touch(KEYS[1], life)
if ARGV[7] == '' then
  redis.call('HSET', KEYS[1], 'phase', 'finished')
  redis.call('HDEL', KEYS[1], 'state')
  unlist(KEYS[2], f[4], ARGV[2])
elseif f[5] and not f[6] and tonumber(f[5]) == round + 1 then
  local long = tonumber(ARGV[8])
  redis.call('HSET', KEYS[1], 'state', ARGV[7], 'phase', 'prepared')
  touch(KEYS[1], long)
  unlist(KEYS[2], f[4], ARGV[2])
  stock(KEYS[1], long, ARGV[2])
  return {'prepared'}
else
  redis.call('HSET', KEYS[1], 'state', ARGV[7])
  if ARGV[9] == '1' then redis.call('HSET', KEYS[1], 'stays', '1') end
  list(KEYS[1], life, KEYS[2], f[4], ARGV[2])
  stock(KEYS[1], life, ARGV[2])
end
return {'stored'}
)";

/// KEYS session; ARGV life, token.
inline constexpr const char* kAbandon = R"(
if redis.call('HGET', KEYS[1], 'lease') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'lease', 'lease_body', 'lease_until')
  touch(KEYS[1], tonumber(ARGV[1]))
end
return 1
)";

/// KEYS session, active; ARGV life, id, token, lease.
inline constexpr const char* kRenew = R"(
local f = redis.call('HMGET', KEYS[1], 'lease', 'owner')
if f[1] == ARGV[3] then
  redis.call('HSET', KEYS[1], 'lease_until', text(now + tonumber(ARGV[4])))
  touch(KEYS[1], tonumber(ARGV[1]))
  list(KEYS[1], tonumber(ARGV[1]), KEYS[2], f[2], ARGV[2])
end
return 1
)";

/// KEYS session, active; ARGV life, id. Of a session that goes on in the memory of one server: it is alive. 0
/// when it was ended.
inline constexpr const char* kStays = R"(
local f = redis.call('HMGET', KEYS[1], 'phase', 'owner')
if f[1] ~= 'active' then return 0 end
touch(KEYS[1], tonumber(ARGV[1]))
list(KEYS[1], tonumber(ARGV[1]), KEYS[2], f[2], ARGV[2])
return 1
)";

/// KEYS session, active; ARGV life, id, last round, body, answer. Of a session that went on in the memory of
/// one server: it is over.
inline constexpr const char* kFinish = R"(
local f = redis.call('HMGET', KEYS[1], 'phase', 'owner')
if f[1] ~= 'active' then return 0 end
redis.call('HDEL', KEYS[1], 'state', 'stays', 'lease', 'lease_body', 'lease_until')
redis.call('HSET', KEYS[1], 'phase', 'finished', 'next', text(tonumber(ARGV[3]) + 1), 'last_body', ARGV[4], 'answer',
           ARGV[5])
touch(KEYS[1], tonumber(ARGV[1]))
unlist(KEYS[2], f[2], ARGV[2])
return 1
)";

/// KEYS session, active; ARGV life, id. 1, or 0 when there was nothing to end.
inline constexpr const char* kErase = R"(
local life = tonumber(ARGV[1])
local phase = phase_of(KEYS[1], life)
if not phase or phase == 'gone' then return 0 end
unlist(KEYS[2], redis.call('HGET', KEYS[1], 'owner'), ARGV[2])
unstock(KEYS[1], ARGV[2])
finish(KEYS[1], life)
return 1
)";

/// Before scripts that judge whether the store remembers all claims. trust() gives how many there were, or -1
/// as long as nobody can tell. `seen` is how many the asking server knows of, empty when it has just begun.
///
/// A store that has seen fewer claims than one of its servers was put back to an earlier time: what it thinks
/// is unused may have been used, and every preparation ends. When Redis itself was started again (from its
/// files, from a backup: it cannot tell) only a server from before knows how many there were. Until one has
/// said so nothing is given out, and when none does for `patience` milliseconds every preparation ends.
inline constexpr const char* kTrust = R"(
local function run_of_redis()
  local ok, info = pcall(redis.call, 'INFO', 'server')
  return ok and string.match(info, 'run_id:(%w+)') or 'unknown'
end
local function end_stock(stock, prefix, life)
  for _, id in ipairs(redis.call('ZRANGE', stock, 0, -1)) do
    local key = prefix .. id
    if redis.call('HGET', key, 'phase') == 'prepared' then finish(key, life) end
  end
  redis.call('DEL', stock)
end
local function trust(claims_key, run_key, stock, prefix, seen, life, patience)
  local claims = tonumber(redis.call('GET', claims_key) or '0')
  local run = run_of_redis()
  if seen ~= '' then
    if claims < tonumber(seen) then
      end_stock(stock, prefix, life)
      claims = tonumber(seen)
      redis.call('SET', claims_key, text(claims))
    end
  elseif redis.call('GET', run_key) ~= run and redis.call('ZCARD', stock) > 0 then
    redis.call('SET', run_key .. ':since', text(now), 'NX')
    if now - tonumber(redis.call('GET', run_key .. ':since')) < patience then return -1 end
    end_stock(stock, prefix, life)
  end
  if redis.call('GET', run_key) ~= run then
    redis.call('SET', run_key, run)
    redis.call('DEL', run_key .. ':since')
  end
  return claims
end
)";

/// KEYS claims, run, stock; ARGV life, claims that the server has seen, prefix of session keys, patience.
/// Claims so far, or -1.
inline constexpr const char* kLookBack = R"(
return trust(KEYS[1], KEYS[2], KEYS[3], ARGV[3], ARGV[2], tonumber(ARGV[1]), tonumber(ARGV[4]))
)";

/// KEYS session, active, claims, stock, run; ARGV life, id, name, claims that the server has seen, prefix of
/// session keys, patience. {granted, other_name, not_prepared, unconfirmed, gone or unknown, claims so far}.
inline constexpr const char* kClaimPreparation = R"(
local life = tonumber(ARGV[1])
local claims = trust(KEYS[3], KEYS[5], KEYS[4], ARGV[5], ARGV[4], life, tonumber(ARGV[6]))
if claims < 0 then return {'unconfirmed', claims} end
local phase = phase_of(KEYS[1], life)
if not phase then return {'unknown', claims} end
if phase == 'gone' then return {'gone', claims} end
local f = redis.call('HMGET', KEYS[1], 'claimed', 'owner')
if f[1] then return {f[1] == ARGV[3] and 'granted' or 'other_name', claims} end
if phase ~= 'prepared' then return {'not_prepared', claims} end
unstock(KEYS[1], ARGV[2])
redis.call('HSET', KEYS[1], 'claimed', ARGV[3], 'phase', 'active')
touch(KEYS[1], life)
list(KEYS[1], life, KEYS[2], f[2], ARGV[2])
return {'granted', redis.call('INCR', KEYS[3])}
)";

/// KEYS active or stock; ARGV life, prefix of session keys. How many had not finished.
inline constexpr const char* kSweep = R"(
local life = tonumber(ARGV[1])
local ended = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now), 'LIMIT', 0, 1000)) do
  local key = ARGV[2] .. id
  local owners = redis.call('HMGET', key, 'owner', 'stock_owner')
  local phase = phase_of(key, life)
  if phase and phase ~= 'gone' then
    redis.call('ZADD', KEYS[1], redis.call('HGET', key, 'exp'), id)
  else
    redis.call('ZREM', KEYS[1], id)
    for i = 1, 2 do
      if owners[i] then redis.call('ZREM', owners[i], id) end
    end
    ended = ended + 1
  end
end
return ended
)";

/// KEYS a set of sessions.
inline constexpr const char* kActive = R"(
return redis.call('ZCOUNT', KEYS[1], text(now), '+inf')
)";

/// KEYS counter; ARGV limit. 1, or 0 when it is used up.
inline constexpr const char* kCountToday = R"(
if tonumber(redis.call('GET', KEYS[1]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], 172800)
return 1
)";

}  // namespace popcorn::service::redis_scripts
