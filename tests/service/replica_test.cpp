// Two servers on one session store: any of them answers any round.
#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "protocols/shares/share_facts.h"
#include "tests/service/service_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/process.h"
#include "tests/support/random_network.h"
#include "tests/support/redis_server.h"
#include "tests/support/tcp_balancer.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

service::ServerOptions replica_options(const std::string& store) {
  auto options = small_server_options();
  options.session_store = store;
  static const TemporaryFolder folder;
  options.config_secret_file = folder.path("secret");
  write_file(options.config_secret_file, as_bytes(std::string(64, 'c')), 0600);
  options.round_lease_seconds = 1;
  return options;
}

struct World {
  explicit World(const std::string& store = fresh_redis_url())
      : one(replica_options(store)), two(replica_options(store)) {}
  RunningServer one, two;
  std::shared_ptr<const protocols::ServedModel> model = small_model("tiny");
  SeededRng rng{23};
  WideVector input = random_input(rng, model->network());
};

}  // namespace

TEST_CASE("A key, a session and its rounds at either server", "[replicas]") {
  World world;
  const RunningServer* servers[] = {&world.one, &world.two};
  const std::string key = register_key(world.one);
  CHECK(ask(world.two.port(), "GET", "/v2/keys/" + key).status == 200);
  const std::string id = open_session(world.two, *world.model);
  protocols::ClientSession client(world.model->bundle(), small_key(), world.input);
  std::uint64_t round = 0;
  for (std::optional<ByteView> message = client.start(); message; ++round) {
    const RawAnswer answer = send_round(*servers[round % 2], id, round, *message);
    REQUIRE(answer.status == 200);
    // The other one repeats it, and takes no other body for it.
    const RunningServer& other = *servers[(round + 1) % 2];
    CHECK(send_round(other, id, round, *message).body == answer.body);
    Bytes changed(message->begin(), message->end());
    changed.back() ^= 1;
    CHECK(error_code(send_round(other, id, round, changed)) == "round.conflict");
    const Bytes body = body_of(answer);
    message = client.handle(body);
  }
  CHECK(client.logits() == plaintext_logits(*world.model, world.input));
  CHECK(ask(world.one.port(), "GET", "/v2/sessions/" + id).status == 200);
  CHECK(ask(world.one.port(), "DELETE", "/v2/sessions/" + id).status == 204);
  CHECK(ask(world.two.port(), "GET", "/v2/sessions/" + id).status == 410);
  CHECK(ask(world.two.port(), "DELETE", "/v2/keys/" + key).status == 204);
  CHECK(ask(world.one.port(), "GET", "/v2/keys/" + key).status == 404);
}

TEST_CASE("Clients behind a balancer resume set-ups that another server made", "[replicas]") {
  World world;
  const TcpBalancer balancer({world.one.port(), world.two.port()});
  const auto set_ups = std::make_shared<service::KeptSetUps>();
  for (int i = 0; i < 4; ++i) {
    service::ClientOptions options;
    options.set_ups = set_ups;
    service::Client client(balancer.url(), options);  // a connection of its own, so the servers take turns
    const auto result = client.infer(client.bundle("tiny"), small_key(), world.input);
    CHECK(result.logits == plaintext_logits(*world.model, world.input));
    CHECK(result.resumed == (i > 0));
  }
  CHECK(world.one.server().statistics().sessions_started == 2);
  CHECK(world.two.server().statistics().sessions_started == 2);
}

TEST_CASE("A check that failed at one server has ended session and set-up at the other", "[replicas]") {
  World world;
  ClientByHand first(world.one, *world.model, world.input);
  CHECK(first.finish(world.two) == plaintext_logits(*world.model, world.input));
  const auto set_up = first.set_up();
  ClientByHand cheat(world.one, *world.model, world.input, set_up);
  ClientByHand at_the_same_time(world.two, *world.model, world.input, set_up);
  REQUIRE(cheat.resumed());
  REQUIRE(at_the_same_time.resumed());
  REQUIRE(cheat.send(world.one).empty());
  REQUIRE(at_the_same_time.send(world.two).empty());
  CHECK(cheat.send(world.one, true) == "ot.check");
  CHECK(cheat.send(world.two) == "session.gone");
  CHECK(at_the_same_time.send(world.two) == "ot.check");
  CHECK_FALSE(ClientByHand(world.two, *world.model, world.input, set_up).resumed());
  CHECK_FALSE(ClientByHand(world.one, *world.model, world.input, set_up).resumed());
}

TEST_CASE("An outage of the store is 503 with Retry-After, and passes", "[replicas]") {
  RedisServer redis;
  World world(redis.url());
  register_key(world.one);
  const std::string id = open_session(world.one, *world.model);
  protocols::ClientSession client(world.model->bundle(), small_key(), world.input);
  const Bytes first = client.start();
  redis.process().send_signal(SIGSTOP);
  for (const RunningServer* server : {&world.one, &world.two}) {
    const RawAnswer answer = send_round(*server, id, 0, first);
    CHECK(answer.status == 503);
    CHECK(error_code(answer) == "server.store");
    CHECK(answer.header("retry-after") == "2");
    CHECK(ask(server->port(), "GET", "/v2/models").status == 200);
  }
  redis.process().send_signal(SIGCONT);
  RawAnswer answer;
  REQUIRE(eventually([&] {
    answer = send_round(world.two, id, 0, first);
    return answer.status == 200;
  }));
  CHECK(client.handle(body_of(answer)));

  // An empty store has lost the sessions, and says so; new ones begin.
  redis.kill();
  CHECK(ask(world.one.port(), "GET", "/v2/sessions/" + id).status == 503);
  redis.start();
  CHECK(eventually([&] { return ask(world.one.port(), "GET", "/v2/sessions/" + id).status == 404; }));
  service::Client again(world.two.url());
  CHECK(again.infer(again.bundle("tiny"), small_key(), world.input).logits ==
        plaintext_logits(*world.model, world.input));
}

TEST_CASE("A server is ready while its store answers", "[replicas]") {
  RedisServer redis;
  const RunningServer server(replica_options(redis.url()));
  const std::string paths[] = {"/v2/health/ready", "/v2/models/tiny/ready",
                               "/v2/models/tiny/versions/1/ready"};
  for (const std::string& path : paths) CHECK(ask(server.port(), "GET", path).status == 200);
  redis.kill();
  // What was found out is believed for a second.
  CHECK(eventually([&] { return ask(server.port(), "GET", paths[0]).status == 503; }));
  for (const std::string& path : paths) CHECK(ask(server.port(), "GET", path).status == 503);
  CHECK(ask(server.port(), "GET", "/v2/health/live").status == 200);
  redis.start();
  CHECK(eventually([&] { return ask(server.port(), "GET", paths[0]).status == 200; }));
}

TEST_CASE("A full store is said to be full", "[replicas]") {
  // It answers, but may not take another byte.
  RedisServer redis({"--maxmemory", "1", "--maxmemory-policy", "noeviction"});
  const RunningServer server(replica_options(redis.url()));
  const RawAnswer answer = ask(server.port(), "POST", "/v2/keys", small_key()->public_key().to_json());
  CHECK(answer.status == 503);
  CHECK(error_code(answer) == "server.store_full");
  CHECK(answer.body.find("maxmemory") != std::string::npos);
  CHECK(ask(server.port(), "GET", "/v2/health/ready").status == 200);
}

namespace {

/// Two servers on one store whose model is on shares: its sessions hold what no store may have.
struct ShareWorld {
  explicit ShareWorld(unsigned drain = 0) : drain_seconds(drain) {
    const std::string store = fresh_redis_url();
    for (auto& server : servers) server = make(store);
  }
  std::unique_ptr<RunningServer> make(const std::string& store) const {
    auto options = replica_options(store);
    options.drain_seconds = drain_seconds;
    options.models = {small.model};
    return std::make_unique<RunningServer>(options);
  }
  ClientByHand client() const { return {*servers[0], *small.model, small.input}; }
  protocols::ServerSession probe() const {
    protocols::SessionOptions options;
    options.engine = "shares";
    return {small.model, paillier::PublicContext::create(small_key()->public_key()), options};
  }

  /// Of each round: whether a store can have the session that awaits it.
  std::vector<bool> kept_before() const {
    protocols::ServerSession server = probe();
    protocols::SessionOptions options;
    options.engine = "shares";
    protocols::ClientSession client(small.model->bundle(), small_key(), small.input, options);
    std::vector<bool> kept;
    Bytes answer;
    for (std::optional<ByteView> message = client.start(); message;) {
      kept.push_back(server.can_be_kept());
      answer = server.handle(*message);
      message = client.handle(answer);
    }
    return kept;
  }

  const unsigned drain_seconds;
  SmallShares small = small_shares("tiny", 42);
  std::unique_ptr<RunningServer> servers[2];
  WideVector expected = plaintext_logits(*small.model, small.input);
};

}  // namespace

TEST_CASE("The online phase of a session on shares goes on where it began, or not at all",
          "[replicas][shares]") {
  ShareWorld world;
  ClientByHand client = world.client();
  const bool moves = GENERATE(false, true);  // to another server than the one that opened it
  CAPTURE(moves);
  const RunningServer &here = *world.servers[moves ? 1 : 0], &there = *world.servers[moves ? 0 : 1];
  // The preparation may go on anywhere, but for what makes its transfers, which stays where it began; with
  // its first online message the session stays.
  const std::uint64_t online = world.probe().preparation_rounds();
  const std::vector<bool> kept_before = world.kept_before();
  REQUIRE(std::ranges::count(kept_before.begin(), kept_before.begin() + static_cast<std::ptrdiff_t>(online),
                             false) >= 1);
  const RunningServer* chosen = &here;
  for (std::uint64_t round = 0; round <= online; ++round) {
    CAPTURE(round);
    if (!kept_before[round]) {
      const RunningServer& other = chosen == &here ? there : here;
      CHECK(error_code(send_round(other, client.session(), round, client.message())) == "session.gone");
    } else {
      chosen = round % 2 == 0 || round == online ? &here : &there;
    }
    REQUIRE(client.send(*chosen).empty());
  }
  while (!client.finished()) {
    CAPTURE(client.round());
    const Bytes message = client.message();
    CHECK(error_code(send_round(there, client.session(), client.round(), message)) == "session.gone");
    // What is refused here costs nothing either.
    CHECK(error_code(send_round(here, client.session(), client.round(),
                                ByteView(message).first(message.size() - 1))) == "message.truncated");
    const std::uint64_t at = client.round();
    REQUIRE(client.send(here).empty());
    // Here the answer may be repeated. In the store is that of the last round alone, for the other one too.
    Bytes changed = message;
    changed.back() ^= 1;
    for (const RunningServer* server : {&here, &there}) {
      const bool has_it = server == &here || client.finished();
      CAPTURE(server == &here);
      CHECK(send_round(*server, client.session(), at, message).status == (has_it ? 200 : 410));
      CHECK(error_code(send_round(*server, client.session(), at, changed)) ==
            (has_it ? "round.conflict" : "session.gone"));
    }
  }
  CHECK(client.client().logits() == world.expected);
}

TEST_CASE("A server on shares that stops in any round: the client begins anew, with another preparation",
          "[replicas][shares]") {
  const protocols::ServerSession probe = ShareWorld().probe();
  const std::vector<bool> kept_before = ShareWorld().kept_before();
  const std::uint64_t rounds = probe.rounds();
  for (std::uint64_t stop_at = 0; stop_at < rounds;
       stop_at += stop_at <= probe.preparation_rounds() ? 1 : 5) {
    CAPTURE(stop_at);
    ShareWorld world;
    const TcpBalancer balancer({world.servers[0]->port(), world.servers[1]->port()});
    service::ClientOptions options;
    options.engine = "shares";
    service::Client client(balancer.url(), options);
    const auto bundle = client.bundle("tiny");
    bool stopped = false;
    const auto result = client.infer(bundle, small_key(), world.small.input,
                                     [&](std::uint64_t done, std::uint64_t, const std::string&) {
                                       if (stopped || done != stop_at) return;
                                       stopped = true;
                                       // The one that has the session is the one that has started one.
                                       for (auto& server : world.servers) {
                                         if (server->server().statistics().sessions_started == 1)
                                           server->stop();
                                       }
                                     });
    CHECK(stopped);
    CHECK(result.logits == world.expected);
    // Before its first online message a session is in the store, unless its transfers are being made.
    CHECK(result.restarts == (kept_before[stop_at] ? 0 : 1));
  }
}

TEST_CASE("A replica that is told to stop lets the online phases end that live in it", "[replicas][shares]") {
  ShareWorld world(30);
  ClientByHand client = world.client();
  RunningServer& here = *world.servers[0];
  for (std::uint64_t round = 0; round <= world.probe().preparation_rounds(); ++round)
    REQUIRE(client.send(here).empty());
  std::thread stopping([&] { here.stop(); });
  // It takes no new session any more, and this one to its end.
  REQUIRE(eventually([&] { return ask(here.port(), "GET", "/v2/health/ready").status == 503; }));
  while (!client.finished()) REQUIRE(client.send(here).empty());
  stopping.join();
  CHECK(client.client().logits() == world.expected);
}
