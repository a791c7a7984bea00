// Sessions and keys on a real Redis server, as two processes see them.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <map>
#include <set>
#include <thread>

#include "base/file.h"
#include "models/file/popcorn_file.h"
#include "paillier/evaluator.h"
#include "service/refusal.h"
#include "service/store/redis_session_store.h"
#include "service/store/session_record.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"
#include "tests/support/redis_server.h"

using namespace popcorn;
using namespace popcorn::test;
using service::RoundClaim;
using State = service::RoundClaim::State;

namespace {

Sha256 digest(ByteView body) {
  return sha256(body);
}
Sha256 digest(const char* text) {
  return sha256(as_bytes(text));
}
std::shared_ptr<const Bytes> answer(const std::string& text) {
  const ByteView view = as_bytes(text);
  return std::make_shared<const Bytes>(view.begin(), view.end());
}
auto soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(20);
}

constexpr const char* kDigits = "mnist-conv2";

std::shared_ptr<const protocols::ServedModel> digits() {
  static const auto model =
      protocols::ServedModel::create(models::read_network("models/requantised/mnist-conv2.popcorn"));
  return model;
}

/// What a server process has: models, keys, and its connection to the store.
struct Replica {
  std::shared_ptr<const protocols::ServedModel> model;
  std::shared_ptr<const paillier::PublicContext> context =
      paillier::PublicContext::create(small_key()->public_key());
  int restored = 0;
  service::SharedStore shared;

  explicit Replica(const std::string& url, std::chrono::milliseconds lease = std::chrono::seconds(30),
                   const std::string& key_file = "")
      : Replica(url, small_model("tiny"), lease, key_file) {}
  Replica(const std::string& url, std::shared_ptr<const protocols::ServedModel> served,
          std::chrono::milliseconds lease = std::chrono::seconds(30), const std::string& key_file = "",
          const std::string& claim_log = "")
      : model(std::move(served)) {
    service::SharedStoreOptions options;
    options.url = url;
    options.lease = lease;
    options.key_file = key_file;
    options.claim_log = claim_log;
    options.max_keys = 3;
    options.sessions.max_sessions = 3;
    options.patience = std::chrono::milliseconds(300);
    shared = service::open_shared_store(options, [this](const service::SessionInfo& session, ByteView state) {
      REQUIRE((session.model == "tiny" || session.model == kDigits));
      ++restored;
      return protocols::ServerSession::restore(model, context, state);
    });
  }
  service::SessionStore& store() { return *shared.sessions; }

  service::SessionInfo create(const std::string& id, const std::string& caller = "") {
    auto machine = std::make_unique<protocols::ServerSession>(model, context);
    service::SessionInfo info;
    info.id = id;
    info.model = "tiny";
    info.caller = info.account = caller;
    info.rounds = machine->rounds();
    info.round_limits.assign(info.rounds, 100);
    info.public_key = small_key()->public_key().serialise();
    return store().create(std::move(info), std::move(machine));
  }
};

}  // namespace

TEST_CASE("A session whose every round another process answers is bit-exact", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica one(url), two(url);
  Replica* replicas[] = {&one, &two};
  const auto model = one.model;
  SeededRng rng(8);
  const WideVector input = random_input(rng, model->network());
  protocols::ClientSession client(model->bundle(), small_key(), input);
  one.create("s");
  std::uint64_t round = 0;
  for (std::optional<ByteView> message = client.start(); message; ++round) {
    auto& store = replicas[(round + 1) % 2]->store();
    auto& other = replicas[round % 2]->store();
    const Sha256 body = digest(*message);
    const RoundClaim claim = store.claim("s", round, body);
    REQUIRE(claim.state == State::granted);
    CHECK(other.claim("s", round, body).state == State::running);
    CHECK(other.claim("s", round, digest("else")).state == State::other_body);
    CHECK(other.peek("s", round).state == State::running);
    auto machine = store.take(claim);
    const auto computed = std::make_shared<const Bytes>(machine->handle(*message));
    CHECK(*store.commit(claim, computed, std::move(machine)) == *computed);
    const RoundClaim again = other.claim("s", round, body);
    REQUIRE(again.state == State::answered);
    CHECK(*again.answer == *computed);
    CHECK(*other.peek("s", round).answer == *computed);
    CHECK(other.claim("s", round, digest("else")).state == State::other_body);
    CHECK(other.find("s")->next_round == round + 1);
    message = client.handle(*computed);
  }
  CHECK(client.logits() == plaintext_logits(*model, input));
  CHECK(one.restored + two.restored >= static_cast<int>(round) - 1);
  CHECK(one.store().find("s")->phase == service::SessionPhase::finished);
  CHECK(one.store().active() == 0);
  CHECK(one.store().claim("s", round, digest("more")).state == State::out_of_order);
}

namespace {

/// A session for a stock on one replica, prepared; the client waits for its input.
std::unique_ptr<protocols::ClientSession> prepare(Replica& replica, const std::string& id) {
  protocols::SessionOptions options;
  options.engine = "shares";
  auto client = protocols::ClientSession::preparation(replica.model->bundle(), small_key(), options);
  auto made = std::make_unique<protocols::ServerSession>(replica.model, replica.context, options);
  service::SessionInfo info;
  info.id = id;
  info.model = kDigits;
  info.engine = "shares";
  info.rounds = made->rounds();
  info.preparation_rounds = made->preparation_rounds();
  info.round_limits.assign(info.rounds, 100);
  info.public_key = small_key()->public_key().serialise();
  replica.store().create(std::move(info), std::move(made));
  std::uint64_t round = 0;
  for (std::optional<ByteView> message = client->start(); message; ++round) {
    const RoundClaim claim = replica.store().claim(id, round, digest(*message));
    auto machine = replica.store().take(claim);
    const auto computed = std::make_shared<const Bytes>(machine->handle(*message));
    replica.store().commit(claim, computed, std::move(machine));
    message = client->handle(*computed);
  }
  return client;
}

using Claim = service::SessionStore::PreparationClaim;

}  // namespace

TEST_CASE("A preparation that one process made is claimed once, by whoever asks first, and used at another",
          "[redis][stock]") {
  const std::string url = fresh_redis_url();
  Replica one(url, digits()), two(url, digits());
  const auto client = prepare(one, "p");
  CHECK(one.store().prepared() == 1);
  CHECK(one.store().prepared("") == 1);
  CHECK(one.store().active() == 0);
  CHECK(two.store().find("p")->phase == service::SessionPhase::prepared);
  const std::uint64_t next = two.store().find("p")->next_round;
  CHECK(two.store().claim("p", next, digest("a")).state == State::unclaimed);
  CHECK(two.store().claim_preparation("p", "mine") == Claim::granted);
  CHECK(one.store().claim_preparation("p", "mine") == Claim::granted);
  CHECK(one.store().claim_preparation("p", "yours") == Claim::other_name);
  CHECK(one.store().claim_preparation("unheard", "mine") == Claim::unknown);
  CHECK(one.store().prepared() == 0);
  CHECK(one.store().active() == 1);
  CHECK(one.store().find("p")->claimed);
  SeededRng rng(9);
  const WideVector input = random_input(rng, two.model->network());
  std::uint64_t round = next;
  for (std::optional<ByteView> message = client->provide(input); message; ++round) {
    const RoundClaim claim = two.store().claim("p", round, digest(*message));
    REQUIRE(claim.state == State::granted);
    auto machine = two.store().take(claim);
    const auto computed = std::make_shared<const Bytes>(machine->handle(*message));
    two.store().commit(claim, computed, std::move(machine));
    message = client->handle(*computed);
  }
  CHECK(client->logits() == plaintext_logits(*two.model, input));
  CHECK(two.store().claim_preparation("p", "yours") == Claim::other_name);
}

TEST_CASE("A store that was put back to an earlier time brings no preparation back", "[redis][stock]") {
  const std::string url = fresh_redis_url();
  Replica one(url, digits());
  prepare(one, "p");
  prepare(one, "q");
  service::RedisPool redis(service::RedisOptions::parse(url));
  const std::string key = redis.options().prefix + "s:p";
  const std::string backup = redis.run({"DUMP", key}).text;
  CHECK(one.store().claim_preparation("p", "mine") == Claim::granted);
  // The backup: the session as it was, and no claim counted.
  redis.run({"DEL", key});
  redis.run({"RESTORE", key, "0", backup});
  redis.run({"DEL", redis.options().prefix + "claims"});
  redis.run({"ZADD", redis.options().prefix + "stock", "99999999999999", "p"});
  CHECK(one.store().claim_preparation("p", "again") == Claim::gone);
  CHECK(one.store().claim_preparation("q", "again") == Claim::gone);
  CHECK(one.store().prepared() == 0);
}

TEST_CASE("After a restart of Redis a server from before must confirm what it holds, or all of it ends",
          "[redis][stock]") {
  const std::string url = fresh_redis_url();
  auto before = std::make_unique<Replica>(url, digits());
  prepare(*before, "p");
  prepare(*before, "q");
  service::RedisPool redis(service::RedisOptions::parse(url));
  CHECK(before->store().claim_preparation("q", "mine") == Claim::granted);
  // As its files would be read by another run of Redis.
  const auto start_again = [&] { redis.run({"SET", redis.options().prefix + "run", "another run"}); };
  start_again();
  Replica fresh(url, digits());
  const auto code_of_claim = [&] {
    try {
      fresh.store().claim_preparation("p", "early");
    } catch (const service::Refusal& refusal) {
      return refusal.code();
    }
    return std::string();
  };
  CHECK(code_of_claim() == "server.unconfirmed");
  before->store().sweep();
  CHECK(fresh.store().claim_preparation("p", "mine") == Claim::granted);
  for (const char* used : {"p", "q"}) CHECK(fresh.store().erase(used));

  prepare(fresh, "r");
  before.reset();
  start_again();
  Replica alone(url, digits());
  alone.store().sweep();  // nobody else knows
  CHECK(alone.store().prepared() == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  alone.store().sweep();
  CHECK(alone.store().prepared() == 0);
  CHECK(alone.store().claim_preparation("r", "mine") == Claim::gone);
  prepare(alone, "s");
  CHECK(alone.store().claim_preparation("s", "mine") == Claim::granted);

  // With a claim log everything may be started again.
  const TemporaryFolder folder;
  const auto start = [&] {
    return std::make_unique<Replica>(url, digits(), std::chrono::seconds(30), "", folder.path("claims"));
  };
  auto logged = start();
  prepare(*logged, "t");
  prepare(*logged, "u");
  CHECK(logged->store().claim_preparation("t", "mine") == Claim::granted);
  logged.reset();
  start_again();
  logged = start();
  CHECK(logged->store().claim_preparation("t", "yours") == Claim::other_name);
  CHECK(logged->store().prepared() == 1);
  logged.reset();
  // And put back to before the claims.
  redis.run({"SET", redis.options().prefix + "claims", "1"});
  start_again();
  logged = start();
  CHECK(logged->store().prepared() == 0);
  CHECK(logged->store().claim_preparation("u", "mine") == Claim::gone);
}

namespace {

/// What an auditor of both replicas would have seen of one preparation.
struct Seen {
  std::map<std::uint64_t, std::set<std::string>> bodies;  ///< that a machine was taken for, by round
  std::set<std::string> names;                            ///< that a claim was granted to
};

/// Two servers that may be killed: what they hold is gone then, and another process comes in their place.
class TwoReplicas {
 public:
  explicit TwoReplicas(std::string url) : url_(std::move(url)) {
    for (auto& replica : replicas_) replica = start();
  }
  Replica& operator[](std::size_t i) { return *replicas_[i]; }
  void kill(std::size_t i) { replicas_[i] = start(); }

 private:
  std::unique_ptr<Replica> start() const {
    return std::make_unique<Replica>(url_, digits(), std::chrono::milliseconds(40));
  }
  std::string url_;
  std::unique_ptr<Replica> replicas_[2];
};

/// One of several that have the same stock, as after a backup of it was put back, with an input of its own.
/// Each step() is one request to a replica that may be killed in its middle.
class Claimer {
 public:
  Claimer(std::string name, ByteView kept, const protocols::ClientBundle& bundle, WideVector input)
      : name_(std::move(name)),
        input_(std::move(input)),
        session_(protocols::ClientSession::restore(bundle, small_key(), kept)) {}

  bool is_over() const { return over_ || session_->finished(); }
  bool has_answer() const { return session_->finished(); }
  bool was_refused() const { return refused_; }
  const WideVector& input() const { return input_; }
  const WideVector& logits() const { return session_->logits(); }
  void stop() { over_ = true; }

  /// @param dies_after requests' parts that the replica still does before it is killed; more than there are =
  /// it lives
  void step(TwoReplicas& replicas, std::size_t at, std::size_t dies_after, Seen& seen) {
    service::SessionStore& store = replicas[at].store();
    if (message_.empty()) {
      claim(store, dies_after, seen);
    } else {
      run_round(store, dies_after, seen);
    }
    if (dies_after < kParts) replicas.kill(at);
  }
  static constexpr std::size_t kParts = 4;

 private:
  void claim(service::SessionStore& store, std::size_t dies_after, Seen& seen) {
    if (dies_after == 0) return;
    const Claim claimed = store.claim_preparation("p", name_);
    if (claimed == Claim::granted) seen.names.insert(name_);
    if (dies_after < kParts) return;  // the answer is lost
    refused_ = over_ = claimed != Claim::granted;
    if (over_) return;
    const ByteView first = session_->provide(input_);
    message_.assign(first.begin(), first.end());
  }

  void run_round(service::SessionStore& store, std::size_t dies_after, Seen& seen) {
    const std::uint64_t round = session_->round();
    if (dies_after == 0) return;
    const RoundClaim claim = store.claim("p", round, digest(message_));
    if (claim.state == State::answered && dies_after >= kParts) take(*claim.answer);
    if (claim.state == State::gone || claim.state == State::other_body) over_ = true;
    if (claim.state != State::granted || dies_after == 1) return;
    std::unique_ptr<protocols::ServerSession> machine;
    try {
      machine = store.take(claim);
    } catch (const service::Refusal&) {
      store.abandon(claim, nullptr);
      over_ = true;  // it lived in a replica that was killed
      return;
    }
    seen.bodies[round].insert(to_hex(claim.body));
    if (dies_after == 2) return;
    const auto computed = std::make_shared<const Bytes>(machine->handle(message_));
    if (dies_after == 3) return;
    const auto counts = store.commit(claim, computed, std::move(machine));
    if (counts) take(*counts);
  }

  void take(const Bytes& answer) {
    const auto next = session_->handle(answer);
    if (next) message_.assign(next->begin(), next->end());
  }

  std::string name_;
  WideVector input_;
  std::unique_ptr<protocols::ClientSession> session_;
  Bytes message_;  ///< of an online round; empty until the claim is granted
  bool over_ = false, refused_ = false;
};

}  // namespace

TEST_CASE("Whichever replica or client dies where, a preparation in two copies of a stock has one user",
          "[redis][stock]") {
  SeededRng rng(97);
  int answered = 0;
  for (int trial = 0; trial < 25; ++trial) {
    CAPTURE(trial);
    const std::string url = fresh_redis_url();
    TwoReplicas replicas(url);
    Bytes kept;
    {
      const auto made = prepare(replicas[0], "p");
      kept = made->save();
    }
    Seen seen;
    std::vector<Claimer> claimers;
    for (const char* name : {"first", "second"})
      claimers.emplace_back(name, kept, digits()->bundle(), random_input(rng, digits()->network()));
    // Deaths at every part of every request, most of them early: later they end the session.
    const std::size_t deaths = rng.below(4);
    std::size_t dead = 0;
    const bool stays = rng.below(2) == 0;  // with one replica as long as it lives, or anywhere
    for (int step = 0; step < 600 && !(claimers[0].is_over() && claimers[1].is_over()); ++step) {
      Claimer& claimer = claimers[rng.below(2)];
      if (claimer.is_over()) continue;
      if (rng.below(200) == 0) claimer.stop();
      const bool dies = dead < deaths && rng.below(4) == 0;
      dead += dies ? 1 : 0;
      const std::size_t at = stays ? 0 : rng.below(2);
      claimer.step(replicas, at, dies ? rng.below(Claimer::kParts) : Claimer::kParts, seen);
      if (dies) std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the dead one's lease
    }
    CHECK(seen.names.size() <= 1);
    for (const auto& [round, bodies] : seen.bodies) {
      CAPTURE(round);
      CHECK(bodies.size() == 1);
    }
    CHECK_FALSE((claimers[0].was_refused() && claimers[1].was_refused()));
    for (Claimer& claimer : claimers) {
      if (!claimer.has_answer()) continue;
      ++answered;
      CHECK(claimer.logits() == plaintext_logits(*digits(), claimer.input()));
    }
    // What nobody got is still there.
    if (seen.names.empty()) CHECK(replicas[1].store().claim_preparation("p", "later") == Claim::granted);
  }
  CHECK(answered > 3);
}

TEST_CASE("A state that this program cannot read ends the session, not the server", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica one(url), two(url);
  one.create("s");
  service::RedisPool redis(service::RedisOptions::parse(url));
  std::string state = redis.run({"HGET", redis.options().prefix + "s:s", "state"}).text;
  ++state[5];  // the version, after one byte of the cipher and the magic
  redis.run({"HSET", redis.options().prefix + "s:s", "state", state});
  const RoundClaim claim = two.store().claim("s", 0, digest("a"));
  try {
    two.store().take(claim);
    FAIL("it was read");
  } catch (const service::Refusal& refusal) {
    CHECK(refusal.kind() == service::RefusalKind::gone);
  }
}

TEST_CASE("A client that stays with one process costs no restoring", "[redis]") {
  Replica one(fresh_redis_url());
  one.create("s");
  SeededRng rng(9);
  protocols::ClientSession client(one.model->bundle(), small_key(), random_input(rng, one.model->network()));
  std::uint64_t round = 0;
  for (std::optional<ByteView> message = client.start(); message; ++round) {
    const RoundClaim claim = one.store().claim("s", round, digest(*message));
    auto machine = one.store().take(claim);
    const auto computed = std::make_shared<const Bytes>(machine->handle(*message));
    one.store().commit(claim, computed, std::move(machine));
    message = client.handle(*computed);
  }
  CHECK(one.restored == 0);
}

TEST_CASE("The round of a process that died is taken over with the same body only", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica two(url, std::chrono::milliseconds(200));
  {
    Replica dies(url, std::chrono::milliseconds(200));
    dies.create("s");
    REQUIRE(dies.store().claim("s", 0, digest("a")).state == State::granted);
    // While it lives its lease is renewed: the other one waits in vain for longer than a lease.
    CHECK(two.store()
              .claim_or_wait("s", 0, digest("a"),
                             std::chrono::steady_clock::now() + std::chrono::milliseconds(500))
              .state == State::running);
  }
  const RoundClaim taken = two.store().claim_or_wait("s", 0, digest("a"), soon());
  REQUIRE(taken.state == State::granted);
  CHECK(two.store().claim("s", 0, digest("b")).state == State::other_body);
  auto machine = two.store().take(taken);
  CHECK(machine->next_round() == 0);
  two.store().abandon(taken, std::move(machine));  // the message was bad: the round is open to another body
  CHECK(two.store().claim("s", 0, digest("b")).state == State::granted);
}

TEST_CASE("Of two processes that computed the same round only one answer counts", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica slow(url, std::chrono::hours(1)), quick(url);
  slow.create("s");
  const RoundClaim late = slow.store().claim("s", 0, digest("a"));
  auto late_machine = slow.store().take(late);
  // The slow one is taken for dead.
  service::RedisPool redis(service::RedisOptions::parse(url));
  redis.run({"HSET", redis.options().prefix + "s:s", "lease_until", "0"});
  const RoundClaim claim = quick.store().claim("s", 0, digest("a"));
  REQUIRE(claim.state == State::granted);
  auto machine = quick.store().take(claim);

  SECTION("the late one comes before the answer") {
    CHECK_THROWS_AS(slow.store().commit(late, answer("late"), std::move(late_machine)), service::Refusal);
    CHECK(*quick.store().commit(claim, answer("quick"), std::move(machine)) == *answer("quick"));
  }
  SECTION("the late one comes after the answer and gives that one") {
    CHECK(*quick.store().commit(claim, answer("quick"), std::move(machine)) == *answer("quick"));
    CHECK(*slow.store().commit(late, answer("late"), std::move(late_machine)) == *answer("quick"));
  }
  SECTION("the session was cancelled meanwhile") {
    CHECK(slow.store().erase("s"));
    CHECK_FALSE(quick.store().erase("s"));
    CHECK(quick.store().commit(claim, answer("quick"), std::move(machine)) == nullptr);
    CHECK(slow.store().claim("s", 0, digest("a")).state == State::gone);
  }
  if (slow.store().find("s")->phase == service::SessionPhase::active) {
    CHECK(*slow.store().claim("s", 0, digest("a")).answer == *answer("quick"));
  }
}

TEST_CASE("A store key seals everything that Redis keeps", "[redis]") {
  const TemporaryFolder folder;
  const std::string key = folder.path("store.key"), other_key = folder.path("other.key");
  write_file(key, as_bytes(std::string(64, 'a') + "\n"), 0600);
  write_file(other_key, as_bytes(std::string(64, 'b')), 0600);
  const std::string url = fresh_redis_url();
  Replica one(url, std::chrono::seconds(30), key), two(url, std::chrono::seconds(30), key);
  one.create("s", "somebody");
  const RoundClaim claim = one.store().claim("s", 0, digest("a"));
  one.store().commit(claim, answer("the answer"), one.store().take(claim));
  CHECK(*two.store().claim("s", 0, digest("a")).answer == *answer("the answer"));
  CHECK(one.shared.keys->add("k", "somebody", as_bytes("public")));
  CHECK(two.shared.keys->find("k", "somebody"));

  service::RedisPool redis(service::RedisOptions::parse(url));
  std::string everything;
  for (const auto& entry : redis.run({"HGETALL", redis.options().prefix + "s:s"}).list)
    everything += entry.text;
  everything +=
      redis.run({"GET", redis.options().prefix + "k:" + service::caller_name("somebody") + ":k"}).text;
  for (const char* secret : {"the answer", "somebody", "tiny", "public", "oblivious"}) {
    CHECK(everything.find(secret) == std::string::npos);
  }
  Replica stranger(url, std::chrono::seconds(30), other_key);
  CHECK_THROWS_AS(stranger.store().find("s"), Error);
  Replica without(url);
  CHECK_THROWS_AS(without.store().find("s"), Error);
  // A piece of one session is not taken for another's.
  one.create("t");
  const std::string foreign = redis.run({"HGET", redis.options().prefix + "s:t", "info"}).text;
  redis.run({"HSET", redis.options().prefix + "s:s", "info", foreign});
  CHECK_THROWS_AS(one.store().find("s"), Error);

  write_file(other_key, as_bytes("short"), 0600);
  CHECK_THROWS_AS(service::StoreCipher::from_file(other_key), InputError);
  REQUIRE(::chmod(key.c_str(), 0604) == 0);
  CHECK_THROWS_AS(service::StoreCipher::from_file(key), InputError);
  service::SharedStoreOptions remote;
  remote.url = "redis://192.0.2.1:6379";
  CHECK_THROWS_AS(service::open_shared_store(remote, {}), UsageError);
}

TEST_CASE("Sessions on Redis are bounded, counted and end with their lifetime", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica one(url), two(url);
  one.create("s", "a");
  one.create("t", "a");
  two.create("u", "b");
  CHECK(two.store().active() == 3);
  CHECK(two.store().active("a") == 2);
  CHECK_THROWS_AS(two.create("v", "b"), service::Refusal);
  CHECK(one.store().count_today("a", 2));
  CHECK(two.store().count_today("a", 2));
  CHECK_FALSE(one.store().count_today("a", 2));
  CHECK(one.store().count_today("b", 2));
  const RoundClaim running = one.store().claim("t", 0, digest("a"));
  REQUIRE(running.state == State::granted);
  // Their time is over: the one that is being computed stays.
  service::RedisPool redis(service::RedisOptions::parse(url));
  const std::string prefix = redis.options().prefix;
  for (const std::string id : {"s", "t"}) {
    redis.run({"HSET", prefix + "s:" + id, "exp", "1"});
    redis.run({"ZADD", prefix + "active", "1", id});
  }
  CHECK(two.store().sweep() == 1);
  CHECK(one.store().find("s")->phase == service::SessionPhase::gone);
  CHECK(one.store().find("t")->phase == service::SessionPhase::active);
  CHECK(two.store().claim("s", 0, digest("a")).state == State::gone);
  CHECK_FALSE(one.store().find("never"));
  two.create("v", "b");
}

TEST_CASE("Keys and set-ups on Redis are everybody's who registered them", "[redis]") {
  const std::string url = fresh_redis_url();
  Replica one(url), two(url);
  service::KeyStore& here = *one.shared.keys;
  service::KeyStore& there = *two.shared.keys;
  const std::string name(32, '1'), other(32, '2');
  here.keep_set_up("k", "a", name, as_bytes("set-up"), 2);
  CHECK_FALSE(here.set_up("k", "a", name));  // no such key
  CHECK(here.add("k", "a", as_bytes("key")));
  CHECK_FALSE(there.add("k", "a", as_bytes("key")));
  CHECK(there.find("k", "a") == Bytes{'k', 'e', 'y'});
  CHECK_FALSE(there.find("k", "b"));
  here.keep_set_up("k", "a", name, as_bytes("set-up"), 2);
  CHECK(there.set_up("k", "a", name)->size() == 6);
  CHECK_FALSE(there.set_up("k", "a", other));
  CHECK_FALSE(there.set_up("k", "a", ""));
  for (const char digit : {'3', '4'})
    here.keep_set_up("k", "a", std::string(32, digit), as_bytes("later"), 2);
  CHECK_FALSE(there.set_up("k", "a", name));
  CHECK(there.forget("k", "a"));
  CHECK_FALSE(here.forget("k", "a"));
  CHECK_FALSE(here.set_up("k", "a", std::string(32, '4')));
  // Three keys fit; the oldest makes room.
  for (const char* id : {"1", "2", "3", "4"}) here.add(id, "a", as_bytes("key"));
  int left = 0;
  for (const char* id : {"1", "2", "3", "4"}) left += there.find(id, "a") ? 1 : 0;
  CHECK(left == 3);
  CHECK(there.find("4", "a"));
}

TEST_CASE("A Redis that is away, stopped or closed to us is an error that passes", "[redis]") {
  RedisServer redis({"--requirepass", "secret word"});
  auto options = service::RedisOptions::parse(redis.url());
  service::SharedStoreOptions shared;
  shared.url = redis.url();
  CHECK_THROWS_AS(service::open_shared_store(shared, {}), NetworkError);
  shared.password = "wrong";
  CHECK_THROWS_AS(service::open_shared_store(shared, {}), NetworkError);
  shared.password = options.password = "secret word";
  const auto store = service::open_shared_store(shared, {});
  service::RedisPool pool(options);
  CHECK(pool.run({"PING"}).text == "PONG");
  const auto refused = [&] {
    try {
      store.sessions->find("s");
    } catch (const service::Refusal& refusal) {
      return refusal.kind() == service::RefusalKind::unavailable && refusal.retry_after_seconds() > 0;
    }
    return false;
  };
  const auto answers_again = [&] {
    for (int i = 0; i < 200; ++i) {
      try {
        store.sessions->find("s");
        return true;
      } catch (const service::Refusal&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }
    return false;
  };
  CHECK_FALSE(refused());
  redis.process().send_signal(SIGSTOP);
  CHECK(refused());
  CHECK(store.sessions->sweep() == 0);
  CHECK(store.sessions->active() == 0);
  redis.process().send_signal(SIGCONT);
  CHECK(answers_again());
  redis.kill();
  CHECK(refused());
  redis.start();
  CHECK(answers_again());
}

TEST_CASE("What cannot be a session store's URL or a kept session is refused", "[redis]") {
  using service::RedisOptions;
  const auto options = RedisOptions::parse("redis://someone@[::1]:7000/5?timeout_ms=50&prefix=x:");
  CHECK(options.user == "someone");
  CHECK(options.host == "::1");
  CHECK(options.port == 7000);
  CHECK(options.database == 5);
  CHECK(options.timeout.count() == 50);
  CHECK(options.prefix == "x:");
  CHECK(options.loopback());
  CHECK(RedisOptions::parse("redis://db.example").port == 6379);
  CHECK_FALSE(RedisOptions::parse("redis://db.example").loopback());
  for (const char* bad : {"", "redis:", "http://x", "redis://", "redis://h:0", "redis://h:x",
                          "redis://h:99999", "redis://h/x", "redis://user:secret@h", "redis://h?x=1",
                          "redis://h?timeout_ms=0", "redis://h?prefix=", "rediss://h"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(RedisOptions::parse(bad), UsageError);
  }
  service::SessionInfo info;
  info.id = "s";
  info.rounds = 2;
  info.round_limits = {5, 6};
  const Bytes good = service::serialise_session(info);
  CHECK(service::parse_session(good).round_limits == info.round_limits);
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    CHECK_THROWS_AS(service::parse_session(ByteView(good).first(cut)), InputError);
  }
}
