#include "service/store/redis_session_store.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "base/error.h"
#include "service/refusal.h"
#include "service/store/claim_log.h"
#include "service/store/preparation_folder.h"
#include "service/store/redis_scripts.h"
#include "service/store/session_record.h"

namespace popcorn::service {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPoll{20};
constexpr std::chrono::milliseconds kLongestPoll{250};
constexpr std::size_t kTokenBytes = 16;
/// In place of the state of a session that cannot be kept: it goes on where it was opened, or not at all.
constexpr std::uint8_t kStaysHere = 0;

std::string random_token() {
  Bytes random(kTokenBytes);
  system_rng().fill(random);
  return to_hex(random);
}

std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

RoundClaim::State state_of(const std::string& what) {
  using State = RoundClaim::State;
  static const std::map<std::string, State> states = {{"granted", State::granted},
                                                      {"answered", State::answered},
                                                      {"running", State::running},
                                                      {"other_body", State::other_body},
                                                      {"out_of_order", State::out_of_order},
                                                      {"unclaimed", State::unclaimed},
                                                      {"gone", State::gone}};
  const auto found = states.find(what);
  return found == states.end() ? State::unknown : found->second;
}

class RedisSessionStore final : public SessionStore {
 public:
  RedisSessionStore(std::shared_ptr<RedisPool> redis, StoreCipher cipher, const SharedStoreOptions& options,
                    SessionRestorer restore)
      : redis_(std::move(redis)),
        cipher_(std::move(cipher)),
        options_(options),
        restore_(std::move(restore)),
        here_(make_memory_session_store(options.sessions)),
        life_(std::to_string(options.sessions.lifetime.count())),
        stock_life_(std::to_string(options.sessions.preparation_lifetime.count())),
        lease_(std::to_string(options.lease.count())),
        patience_(std::to_string(options.patience.count())),
        heartbeat_([this] { renew_until_stopped(); }) {}

  /// Call it once, before the store is used.
  void begin() {
    if (!options_.claim_log.empty()) {
      log_ = std::make_unique<ClaimLog>(options_.claim_log);
      if (log_->seen()) claims_seen_ = static_cast<std::int64_t>(*log_->seen());
    }
    try {
      look_back();
    } catch (const Refusal&) {
      // sweep() tries again.
    }
  }

  ~RedisSessionStore() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    stop_.notify_all();
    heartbeat_.join();
  }

  bool reachable() override { return redis_->reachable(); }
  bool shared() const noexcept override { return true; }

  SessionInfo create(SessionInfo info, std::unique_ptr<protocols::ServerSession> machine) override {
    const Bytes record = cipher_.seal(serialise_session(info), place(info.id, "info"));
    const Bytes state = sealed_state(info.id, *machine);
    const std::string most = std::to_string(options_.sessions.max_sessions);
    const std::string most_of_account = std::to_string(info.account_limit);
    const std::string preparation_rounds = std::to_string(info.preparation_rounds);
    const std::string most_preparations = std::to_string(options_.sessions.max_preparations);
    const std::string most_preparations_of_account = std::to_string(info.preparation_limit);
    const RedisValue made = script(
        redis_scripts::kCreate,
        {session_key(info.id), active_key(), owner_key(info.account), stock_key(), stock_key(info.account)},
        {life_, info.id, text_of(record), text_of(state), most, most_of_account, preparation_rounds,
         most_preparations, most_preparations_of_account});
    if (made.integer == 2) {
      refuse_account();
    }
    if (made.integer == 3) refuse_preparation();
    if (made.integer == 4) refuse_account_preparations();
    if (made.integer != 1) {
      throw Refusal(RefusalKind::unavailable, "server.sessions",
                    "The server runs as many sessions as it may; ask again later", 5);
    }
    info.expires_at = std::chrono::system_clock::now() + options_.sessions.lifetime;
    remember(info.id, std::move(machine));
    return info;
  }

  std::optional<SessionInfo> find(const std::string& id) override {
    if (auto here = found_here(id)) return here;
    const RedisValue found = script(redis_scripts::kFind, {session_key(id)}, {life_});
    if (found.kind != RedisValue::Kind::list) {
      return std::nullopt;
    }
    SessionInfo info = parse_session(cipher_.open(found.at(1).bytes(), place(id, "info")));
    const std::string& phase = found.at(0).text;
    info.phase = phase == "active"     ? SessionPhase::active
                 : phase == "prepared" ? SessionPhase::prepared
                 : phase == "finished" ? SessionPhase::finished
                                       : SessionPhase::gone;
    info.next_round = static_cast<std::uint64_t>(found.at(2).number());
    info.expires_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(found.at(3).number()));
    info.computing = found.at(4).number() != 0;
    info.claimed = found.at(5).number() != 0;
    return info;
  }

  RoundClaim claim(const std::string& id, std::uint64_t round, const Sha256& body) override {
    if (found_here(id)) return here_->claim(id, round, body);
    const std::string token = random_token();
    const std::string number = std::to_string(round);
    const std::string digest = to_hex(body);
    const RedisValue got =
        script(redis_scripts::kClaim, {session_key(id)}, {life_, number, digest, token, lease_});
    RoundClaim claim = claim_of(got, id, round);
    if (claim.state == RoundClaim::State::granted) {
      claim.id = id;
      claim.round = round;
      claim.body = body;
      claim.token = token;
      const std::lock_guard lock(mutex_);
      held_[token] = id;
    }
    return claim;
  }

  RoundClaim claim_or_wait(const std::string& id, std::uint64_t round, const Sha256& body,
                           Steady::time_point deadline) override {
    if (found_here(id)) return here_->claim_or_wait(id, round, body, deadline);
    for (auto pause = kFirstPoll;; pause = std::min(2 * pause, kLongestPoll)) {
      RoundClaim claimed = claim(id, round, body);
      const auto left = deadline - Steady::now();
      if (claimed.state != RoundClaim::State::running || left <= Steady::duration::zero()) {
        return claimed;
      }
      std::this_thread::sleep_for(std::min<Steady::duration>(pause, left));
    }
  }

  RoundClaim peek(const std::string& id, std::uint64_t round) override {
    if (found_here(id)) return here_->peek(id, round);
    const std::string number = std::to_string(round);
    return claim_of(script(redis_scripts::kPeek, {session_key(id)}, {life_, number}), id, round);
  }

  std::unique_ptr<protocols::ServerSession> take(const RoundClaim& claim) override {
    if (is_of_here(claim)) return here_->take(claim);
    if (auto known = recall(claim.id, claim.round)) {
      return known;
    }
    const std::string key = session_key(claim.id);
    const RedisValue kept = redis_->run({"HMGET", key, "info", "state"});
    if (kept.at(1).kind != RedisValue::Kind::text) {
      throw Refusal(RefusalKind::gone, "session.gone",
                    "This session is over: finished, cancelled or expired");
    }
    const SessionInfo info = parse_session(cipher_.open(kept.at(0).bytes(), place(claim.id, "info")));
    Bytes state = cipher_.open(kept.at(1).bytes(), state_place(claim.id, claim.round));
    if (std::ranges::equal(state, Bytes{kStaysHere})) {
      throw Refusal(RefusalKind::gone, "session.gone",
                    "This session lived in a server that has stopped or does not get its requests any more");
    }
    std::unique_ptr<protocols::ServerSession> machine;
    try {
      machine = restore_(info, state);
    } catch (const InputError&) {  // of another version of this program: no fault of the client's message
      throw Refusal(RefusalKind::gone, "session.gone",
                    "This session was begun by another version of the server");
    }
    OPENSSL_cleanse(state.data(), state.size());
    return machine;
  }

  std::shared_ptr<const Bytes> commit(const RoundClaim& claim, std::shared_ptr<const Bytes> answer,
                                      std::unique_ptr<protocols::ServerSession> machine) override {
    if (is_of_here(claim)) return commit_here(claim, std::move(answer), std::move(machine));
    const Bytes state = machine->finished() ? Bytes() : sealed_state(claim.id, *machine);
    const Bytes sealed = cipher_.seal(*answer, answer_place(claim.id, claim.round));
    const std::string number = std::to_string(claim.round);
    const std::string digest = to_hex(claim.body);
    release(claim);
    const bool stays = goes_on_here(claim, *machine);
    const std::optional<SessionInfo> info = stays ? find(claim.id) : std::nullopt;
    const RedisValue done = script(redis_scripts::kCommit, {session_key(claim.id), active_key()},
                                   {life_, claim.id, number, digest, claim.token, text_of(sealed),
                                    text_of(state), stock_life_, info ? "1" : ""});
    const std::string& what = done.at(0).text;
    if (what == "stored") {
      if (info) {
        stay(*info, claim, answer, std::move(machine));
      } else if (!machine->finished()) {
        remember(claim.id, std::move(machine));
      }
      return answer;
    }
    if (what == "prepared") return answer;  // may wait for days: its state is in the store alone
    if (what == "answered") {  // by another process, which took this one for dead, or by this one's first try
      return open_answer(done.at(1), claim.id, claim.round);
    }
    if (what == "lost") {
      throw Refusal(RefusalKind::unavailable, "round.lost",
                    "Another server computes this round; send the same request again", 1);
    }
    return nullptr;
  }

  void abandon(const RoundClaim& claim, std::unique_ptr<protocols::ServerSession> machine) override {
    if (is_of_here(claim)) {
      here_->abandon(claim, std::move(machine));
      return;
    }
    release(claim);
    // What the store cannot restore is here or nowhere; one that failed says so to whoever asks.
    if (machine && !machine->can_be_kept()) remember(claim.id, std::move(machine));
    try {
      script(redis_scripts::kAbandon, {session_key(claim.id)}, {life_, claim.token});
    } catch (const Refusal&) {
      // The lease runs out by itself.
    }
  }

  void end(const RoundClaim& claim) override {
    release(claim);
    try {
      erase(claim.id);
    } catch (const Refusal&) {
      // The lease runs out by itself, and is given to the same body only.
    }
  }

  PreparationClaim claim_preparation(const std::string& id, const std::string& name) override {
    using Claim = PreparationClaim;
    static const std::map<std::string, Claim> claims = {{"granted", Claim::granted},
                                                        {"other_name", Claim::other_name},
                                                        {"not_prepared", Claim::not_prepared},
                                                        {"gone", Claim::gone},
                                                        {"unknown", Claim::unknown}};
    const std::string prefix = session_key("");
    const std::string seen = claims_seen();
    const RedisValue done = script(redis_scripts::kTrust + std::string(redis_scripts::kClaimPreparation),
                                   {session_key(id), active_key(), claims_key(), stock_key(), run_key()},
                                   {life_, id, name, seen, prefix, patience_});
    if (done.at(0).text == "unconfirmed") {
      throw Refusal(
          RefusalKind::unavailable, "server.unconfirmed",
          "The session store was started again, and no server has confirmed what it holds; ask again "
          "in a moment",
          1);
    }
    remember_claims(done.at(1).number());
    return claims.at(done.at(0).text);
  }

  bool erase(const std::string& id) override {
    here_->erase(id);
    return script(redis_scripts::kErase, {session_key(id), active_key()}, {life_, id}).integer == 1;
  }

  std::size_t sweep() override {
    {
      const std::lock_guard lock(mutex_);
      const auto oldest = Steady::now() - options_.sessions.lifetime;
      std::erase_if(machines_, [oldest](const auto& item) { return item.second.since < oldest; });
    }
    here_->sweep();
    try {
      look_back();
      const std::string prefix = session_key("");
      std::int64_t ended = 0;
      for (const std::string& listed : {active_key(), stock_key()})
        ended += script(redis_scripts::kSweep, {listed}, {life_, prefix}).integer;
      return static_cast<std::size_t>(ended);
    } catch (const Refusal&) {
      return 0;
    }
  }

  std::size_t active() override {
    try {
      return static_cast<std::size_t>(script(redis_scripts::kActive, {active_key()}, {}).integer);
    } catch (const Refusal&) {
      return 0;
    }
  }

  std::size_t bound_to_process() override {
    std::set<std::string> staying;
    {
      const std::lock_guard lock(mutex_);
      staying = staying_;
    }
    return static_cast<std::size_t>(std::ranges::count_if(staying, [this](const std::string& id) {
      const std::optional<SessionInfo> here = here_->find(id);
      return here && here->phase == SessionPhase::active;
    }));
  }

  std::size_t active(const std::string& account) override {
    return static_cast<std::size_t>(script(redis_scripts::kActive, {owner_key(account)}, {}).integer);
  }

  std::size_t prepared() override {
    try {
      return static_cast<std::size_t>(script(redis_scripts::kActive, {stock_key()}, {}).integer);
    } catch (const Refusal&) {
      return 0;
    }
  }

  std::size_t prepared(const std::string& account) override {
    return static_cast<std::size_t>(script(redis_scripts::kActive, {stock_key(account)}, {}).integer);
  }

  bool count_today(const std::string& account, std::uint64_t limit) override {
    const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    const std::string key = redis_->options().prefix +
                            "d:" + std::to_string(today.time_since_epoch().count()) + ":" +
                            caller_name(account);
    const std::string most = std::to_string(limit);
    return script(redis_scripts::kCountToday, {key}, {most}).integer == 1;
  }

 private:
  struct Machine {
    std::unique_ptr<protocols::ServerSession> machine;
    Steady::time_point since;
  };

  RedisValue script(std::string_view text, const std::vector<std::string>& keys,
                    const std::vector<std::string_view>& arguments) {
    return redis_->script(redis_scripts::kCommon + std::string(text), keys, arguments);
  }

  std::string session_key(const std::string& id) const { return redis_->options().prefix + "s:" + id; }
  /// What the store and this server remember of claims, compared.
  void look_back() {
    const std::string prefix = session_key("");
    const std::string seen = claims_seen();
    remember_claims(script(redis_scripts::kTrust + std::string(redis_scripts::kLookBack),
                           {claims_key(), run_key(), stock_key()}, {life_, seen, prefix, patience_})
                        .integer);
  }
  std::string claims_key() const { return redis_->options().prefix + "claims"; }
  std::string run_key() const { return redis_->options().prefix + "run"; }
  /// As scripts take it: empty before the store was asked for the first time.
  std::string claims_seen() const {
    const std::int64_t seen = claims_seen_;
    return seen < 0 ? "" : std::to_string(seen);
  }
  /// Before a claim is granted: this process may be the only one that knows of it.
  void remember_claims(std::int64_t count) {
    for (std::int64_t before = claims_seen_;
         before < count && !claims_seen_.compare_exchange_weak(before, count);) {
    }
    if (!log_ || count < 0) return;
    const std::lock_guard lock(log_mutex_);
    try {
      log_->note(static_cast<std::uint64_t>(count));
    } catch (const IoError&) {
      throw Refusal(RefusalKind::unavailable, "server.claim_log",
                    "The server cannot note that a preparation is used; ask again later", 5);
    }
  }
  std::string active_key() const { return redis_->options().prefix + "active"; }
  std::string owner_key(const std::string& account) const {
    return redis_->options().prefix + "a:" + caller_name(account);
  }
  std::string stock_key() const { return redis_->options().prefix + "stock"; }
  std::string stock_key(const std::string& account) const {
    return redis_->options().prefix + "p:" + caller_name(account);
  }

  /// Where a sealed piece belongs, so that none is taken for another.
  static std::string place(const std::string& id, const std::string& what) { return what + " of " + id; }
  static std::string state_place(const std::string& id, std::uint64_t round) {
    return place(id, "state " + std::to_string(round));
  }
  static std::string answer_place(const std::string& id, std::uint64_t round) {
    return place(id, "answer " + std::to_string(round));
  }

  Bytes sealed_state(const std::string& id, const protocols::ServerSession& machine) const {
    Bytes state = machine.can_be_kept() ? machine.save() : Bytes{kStaysHere};
    Bytes sealed = cipher_.seal(state, state_place(id, machine.next_round()));
    OPENSSL_cleanse(state.data(), state.size());
    return sealed;
  }

  std::shared_ptr<const Bytes> open_answer(const RedisValue& sealed, const std::string& id,
                                           std::uint64_t round) const {
    return std::make_shared<const Bytes>(cipher_.open(sealed.bytes(), answer_place(id, round)));
  }

  RoundClaim claim_of(const RedisValue& got, const std::string& id, std::uint64_t round) const {
    RoundClaim claim;
    claim.state = state_of(got.at(0).text);
    claim.next_round = static_cast<std::uint64_t>(got.at(1).number());
    if (claim.state == RoundClaim::State::answered) {
      claim.answer = open_answer(got.at(2), id, round);
    }
    return claim;
  }

  /// A session that no other process can go on with lives here from its first such round on: what follows of
  /// it asks Redis for nothing. To others it is one that stays elsewhere; when it is over Redis has its
  /// answer.
  static bool goes_on_here(const RoundClaim& claim, const protocols::ServerSession& machine) {
    return !machine.finished() && !machine.can_be_kept() && claim.round >= machine.preparation_rounds();
  }
  static bool is_of_here(const RoundClaim& claim) { return claim.token.empty(); }
  /// Also when it has finished, as long as its answer is here.
  std::optional<SessionInfo> found_here(const std::string& id) const {
    std::optional<SessionInfo> here = here_->find(id);
    if (here && here->phase == SessionPhase::gone) here.reset();
    return here;
  }

  void stay(SessionInfo info, const RoundClaim& claim, const std::shared_ptr<const Bytes>& answer,
            std::unique_ptr<protocols::ServerSession> machine) {
    here_->adopt(std::move(info), std::move(machine), claim, answer);
    const std::lock_guard lock(mutex_);
    staying_.insert(claim.id);
  }

  std::shared_ptr<const Bytes> commit_here(const RoundClaim& claim, std::shared_ptr<const Bytes> answer,
                                           std::unique_ptr<protocols::ServerSession> machine) {
    const bool finished = machine->finished();
    auto counts = here_->commit(claim, std::move(answer), std::move(machine));
    if (!counts || !finished) return counts;
    {
      const std::lock_guard lock(mutex_);
      staying_.erase(claim.id);
    }
    const Bytes sealed = cipher_.seal(*counts, answer_place(claim.id, claim.round));
    const std::string number = std::to_string(claim.round);
    const std::string digest = to_hex(claim.body);
    try {
      script(redis_scripts::kFinish, {session_key(claim.id), active_key()},
             {life_, claim.id, number, digest, text_of(sealed)});
    } catch (const Refusal&) {
      // It ends there with its lifetime.
    }
    return counts;
  }

  /// Says that those that live here do.
  void renew_staying() {
    std::set<std::string> staying;
    {
      const std::lock_guard lock(mutex_);
      staying = staying_;
    }
    for (const std::string& id : staying) {
      const std::optional<SessionInfo> here = here_->find(id);
      if (here && here->phase == SessionPhase::active) {
        const RedisValue lives = script(redis_scripts::kStays, {session_key(id), active_key()}, {life_, id});
        if (lives.integer == 1) continue;
        here_->erase(id);
      }
      const std::lock_guard lock(mutex_);
      staying_.erase(id);
    }
  }

  /// The machine as it was committed last, so that a client that stays with one server costs it no restoring.
  /// What another process committed since makes it useless: it is at an earlier round then.
  void remember(const std::string& id, std::unique_ptr<protocols::ServerSession> machine) {
    const std::lock_guard lock(mutex_);
    machines_[id] = {std::move(machine), Steady::now()};
  }

  std::unique_ptr<protocols::ServerSession> recall(const std::string& id, std::uint64_t round) {
    const std::lock_guard lock(mutex_);
    const auto found = machines_.find(id);
    if (found == machines_.end()) {
      return nullptr;
    }
    auto machine = std::move(found->second.machine);
    machines_.erase(found);
    return machine->next_round() == round ? std::move(machine) : nullptr;
  }

  void release(const RoundClaim& claim) {
    const std::lock_guard lock(mutex_);
    held_.erase(claim.token);
  }

  /// Says that the rounds computed here are still being computed.
  void renew_until_stopped() {
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, options_.lease / 4, [this] { return stopped_; })) {
      const auto held = held_;
      lock.unlock();
      try {
        for (const auto& [token, id] : held) {
          script(redis_scripts::kRenew, {session_key(id), active_key()}, {life_, id, token, lease_});
        }
        renew_staying();
      } catch (const Refusal&) {
        // The next time, or the lease is lost: commit() finds out.
      }
      lock.lock();
    }
  }

  const std::shared_ptr<RedisPool> redis_;
  const StoreCipher cipher_;
  const SharedStoreOptions options_;
  const SessionRestorer restore_;
  const std::unique_ptr<LocalSessionStore> here_;
  const std::string life_, stock_life_, lease_, patience_;  ///< milliseconds
  std::mutex mutex_;
  std::atomic<std::int64_t> claims_seen_{-1};  ///< -1 = not yet
  std::mutex log_mutex_;
  std::unique_ptr<ClaimLog> log_;            ///< null = in memory alone
  std::map<std::string, Machine> machines_;  ///< by session
  std::map<std::string, std::string> held_;  ///< session by the token of its lease
  std::set<std::string> staying_;            ///< sessions that go on here alone
  std::condition_variable stop_;
  bool stopped_ = false;
  std::thread heartbeat_;
};

}  // namespace

std::string caller_name(const std::string& caller) {
  return to_hex(sha256(as_bytes(caller))).substr(0, 32);
}

std::unique_ptr<SessionStore> make_redis_session_store(std::shared_ptr<RedisPool> redis, StoreCipher cipher,
                                                       const SharedStoreOptions& options,
                                                       SessionRestorer restore) {
  auto store =
      std::make_unique<RedisSessionStore>(std::move(redis), std::move(cipher), options, std::move(restore));
  store->begin();
  return store;
}

SharedStore open_shared_store(const SharedStoreOptions& options, SessionRestorer restore) {
  RedisOptions redis = RedisOptions::parse(options.url);
  redis.password = options.password;
  if (options.key_file.empty() && !redis.loopback()) {
    throw UsageError("store.key", "A session store on another machine (" + redis.host +
                                      ") needs a store key, so that it sees no secrets");
  }
  StoreCipher cipher = options.key_file.empty() ? StoreCipher() : StoreCipher::from_file(options.key_file);
  const auto pool = std::make_shared<RedisPool>(std::move(redis));
  try {
    pool->run({"PING"});
  } catch (const Refusal&) {
    throw NetworkError("store.unreachable",
                       "The session store " + options.url + " does not answer: " + pool->last_error());
  }
  SharedStore store;
  store.keys = make_redis_key_store(pool, cipher, options.max_keys);
  store.sessions = make_redis_session_store(pool, std::move(cipher), options, std::move(restore));
  return store;
}

}  // namespace popcorn::service
