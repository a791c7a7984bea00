// The sign test's set-up: made once for a registered key, resumed by later sessions, never trusted blindly.
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "service/client/kept_set_ups.h"
#include "service/key_registry.h"
#include "service/refusal.h"
#include "service/store/shared_store.h"
#include "tests/service/service_fixture.h"
#include "tests/support/process.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;
using service::KeptSetUps;

namespace {

struct World {
  RunningServer server;
  std::shared_ptr<const protocols::ServedModel> model = small_model("tiny");
  SeededRng rng{17};
  WideVector input = random_input(rng, model->network());
  TemporaryFolder folder;
  std::string file = folder.path("key.ot-state");

  service::InferenceResult run(const std::shared_ptr<KeptSetUps>& set_ups) const {
    service::ClientOptions options;
    options.set_ups = set_ups;
    service::Client client(server.url(), options);
    return client.infer(client.bundle("tiny"), small_key(), input);
  }
  service::InferenceResult infer(const std::shared_ptr<KeptSetUps>& set_ups) const {
    auto result = run(set_ups);
    CHECK(result.logits == plaintext_logits(*model, input));
    return result;
  }
  std::shared_ptr<KeptSetUps> from_file() const { return std::make_shared<KeptSetUps>(file); }
  /// The server forgets the key and with it its half of the set-ups.
  void forget_key() const {
    const std::string path = "/v2/keys/" + to_hex(small_key()->public_key().fingerprint());
    REQUIRE(ask(server.port(), "DELETE", path).status == 204);
  }
};

/// A shared store that can be away.
class StoreThatFails final : public service::KeyStore {
 public:
  explicit StoreThatFails(std::shared_ptr<std::vector<std::string>> told, std::shared_ptr<bool> away)
      : told_(std::move(told)), away_(std::move(away)) {}
  bool add(const std::string&, const std::string&, ByteView) override { return true; }
  std::optional<Bytes> find(const std::string&, const std::string&) override { return std::nullopt; }
  bool forget(const std::string&, const std::string&) override { return false; }
  void keep_set_up(const std::string&, const std::string&, const std::string&, ByteView,
                   std::size_t) override {}
  std::optional<Bytes> set_up(const std::string&, const std::string&, const std::string&) override {
    return std::nullopt;
  }
  void drop_set_up(const std::string&, const std::string&, const std::string& name) override {
    if (*away_) throw service::Refusal(service::RefusalKind::unavailable, "server.store", "away");
    told_->push_back(name);
  }
  bool set_up_is_dropped(const std::string& name) override {
    return std::ranges::find(*told_, name) != told_->end();
  }

 private:
  std::shared_ptr<std::vector<std::string>> told_;
  std::shared_ptr<bool> away_;
};

}  // namespace

TEST_CASE("Later inferences of a client send no set-up", "[set_up]") {
  const World world;
  service::Client client(world.server.url());
  const auto bundle = client.bundle("tiny");
  std::vector<service::InferenceResult> results;
  for (int i = 0; i < 3; ++i) {
    results.push_back(client.infer(bundle, small_key(), world.input));
    CHECK(results.back().logits == plaintext_logits(*world.model, world.input));
    CHECK(results.back().resumed == (i > 0));
  }
  CHECK(results[1].bytes_up == results[2].bytes_up);
  // A point up and 256 down; a nonce of 16 bytes each way remains.
  CHECK(results[0].bytes_up - results[1].bytes_up == 32 - 16);
  CHECK(results[0].bytes_down - results[1].bytes_down == 256 * 32);
  const auto other_key = client.infer(bundle, small_key(1), world.input);
  CHECK_FALSE(other_key.resumed);
  CHECK(other_key.bytes_up == results[0].bytes_up);
}

TEST_CASE("A set-up in a file serves later processes", "[set_up]") {
  const World world;
  CHECK_FALSE(world.infer(world.from_file()).resumed);
  struct stat status {};
  REQUIRE(::stat(world.file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(world.infer(world.from_file()).resumed);

  SECTION("the client lost its file") {
    REQUIRE(std::filesystem::remove(world.file));
    CHECK_FALSE(world.infer(world.from_file()).resumed);
    CHECK(world.infer(world.from_file()).resumed);
  }
  SECTION("the server lost its half") {
    world.forget_key();
    CHECK_FALSE(world.infer(world.from_file()).resumed);
    CHECK(world.infer(world.from_file()).resumed);
  }
  SECTION("an old copy of the file comes back") {
    const Bytes copy = read_file(world.file);
    CHECK(world.infer(world.from_file()).resumed);
    write_file(world.file, copy, 0600);
    CHECK(world.infer(world.from_file()).resumed);  // with streams of its own
    world.forget_key();
    CHECK_FALSE(world.infer(world.from_file()).resumed);
    write_file(world.file, copy, 0600);
    CHECK_FALSE(world.infer(world.from_file()).resumed);  // the server knows a newer one only
    CHECK(world.infer(world.from_file()).resumed);
  }
  SECTION("a session that broke off") {
    const auto set_ups = world.from_file();
    std::atomic<bool> cancel{false};
    service::ClientOptions options;
    options.set_ups = set_ups;
    options.cancel = &cancel;
    service::Client client(world.server.url(), options);
    const auto stop_later = [&](std::uint64_t done, std::uint64_t, const std::string&) {
      cancel = done >= 2;
    };
    CHECK_THROWS_AS(client.infer(client.bundle("tiny"), small_key(), world.input, stop_later), Error);
    CHECK(world.infer(set_ups).resumed);
  }
  SECTION("files that cannot be used") {
    const Bytes good = read_file(world.file);
    SeededRng rng(4);
    std::vector<Bytes> bad = {{}, Bytes(good.begin(), good.end() - 1), good, good};
    bad[2][4] ^= 1;
    bad[3].push_back(0);
    for (int i = 0; i < 20; ++i)
      bad.emplace_back(good.begin(), good.begin() + static_cast<long>(rng.below(100)));
    for (const Bytes& content : bad) {
      write_file(world.file, content, 0600);
      CHECK(world.from_file()->problem().find(world.file) != std::string::npos);
    }
    write_file(world.file, good, 0644);
    CHECK(world.from_file()->problem().find("other users") != std::string::npos);
    CHECK_FALSE(world.infer(world.from_file()).resumed);
    CHECK(world.from_file()->problem().empty());
    CHECK(world.infer(world.from_file()).resumed);
  }
}

TEST_CASE("Several sessions of one key and one set-up at the same time", "[set_up]") {
  const World world;
  const auto set_ups = world.from_file();
  world.infer(set_ups);
  const WideVector expected = plaintext_logits(*world.model, world.input);
  std::atomic<int> resumed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int inference = 0; inference < 2; ++inference) {
        const auto result = world.run(set_ups);
        resumed += result.resumed && result.logits == expected ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(resumed == 8);
}

TEST_CASE("A failed check ends the session and the set-up", "[set_up]") {
  const World world;
  const RunningServer& server = world.server;
  const WideVector expected = plaintext_logits(*world.model, world.input);
  const auto status_of = [&](const ClientByHand& client) {
    return ask(server.port(), "GET", "/v2/sessions/" + client.session()).status;
  };
  SECTION("of a session that makes one") {
    ClientByHand client(server, *world.model, world.input);
    REQUIRE(client.send(server).empty());
    CHECK(client.send(server, true) == "ot.check");
    CHECK(status_of(client) == 410);
    CHECK(client.send(server) == "session.gone");  // nor is the right message answered any more
    CHECK_FALSE(ClientByHand(server, *world.model, world.input, client.set_up()).resumed());
  }
  SECTION("of a session that resumes one") {
    ClientByHand first(server, *world.model, world.input);
    CHECK(first.finish(server) == expected);
    const auto set_up = first.set_up();
    ClientByHand cheat(server, *world.model, world.input, set_up);
    ClientByHand at_the_same_time(server, *world.model, world.input, set_up);
    REQUIRE(cheat.resumed());
    REQUIRE(at_the_same_time.resumed());
    REQUIRE(at_the_same_time.send(server).empty());
    REQUIRE(cheat.send(server).empty());
    CHECK(cheat.send(server, true) == "ot.check");
    CHECK(cheat.send(server) == "session.gone");
    // Every other session with the same secrets is over too, and no new one gets them.
    CHECK(at_the_same_time.send(server) == "ot.check");
    CHECK(status_of(at_the_same_time) == 410);
    CHECK_FALSE(ClientByHand(server, *world.model, world.input, set_up).resumed());
    ClientByHand honest(server, *world.model, world.input);
    CHECK(honest.finish(server) == expected);
    CHECK(ClientByHand(server, *world.model, world.input, honest.set_up()).resumed());
  }
  SECTION("in a later round of the session that made it") {
    ClientByHand cheat(server, *world.model, world.input);
    for (int i = 0; i < 3; ++i) REQUIRE(cheat.send(server).empty());
    const auto set_up = cheat.set_up();
    CHECK(ClientByHand(server, *world.model, world.input, set_up).resumed());
    CHECK(cheat.send(server, true) == "ot.check");
    CHECK_FALSE(ClientByHand(server, *world.model, world.input, set_up).resumed());
  }
}

TEST_CASE("A store that is away while a check fails learns of it later", "[set_up]") {
  const auto told = std::make_shared<std::vector<std::string>>();
  const auto away = std::make_shared<bool>(true);
  service::KeyRegistry keys({});
  keys.use(std::make_unique<StoreThatFails>(told, away));
  CHECK_NOTHROW(keys.drop_set_up("key", "caller", "one"));
  CHECK(keys.set_up_is_dropped("one"));  // here at once
  CHECK(told->empty());
  keys.tell_dropped();
  *away = false;
  CHECK_NOTHROW(keys.drop_set_up("key", "caller", "two"));
  CHECK(*told == std::vector<std::string>{"one", "two"});
  keys.tell_dropped();
  CHECK(told->size() == 2);
  CHECK_FALSE(keys.set_up_is_dropped("three"));
}

TEST_CASE("A client whose half of a set-up is not the server's forgets it", "[set_up]") {
  const World world;
  CHECK_FALSE(world.infer(world.from_file()).resumed);
  Bytes content = read_file(world.file);
  // Both seeds of the last pair: one of them is the server's.
  content.back() ^= 1;
  content[content.size() - 1 - 16] ^= 1;
  write_file(world.file, content, 0600);
  const auto set_ups = world.from_file();
  REQUIRE(set_ups->problem().empty());
  try {
    world.run(set_ups);
    FAIL("the server took corrections of other seeds");
  } catch (const InputError& error) {
    CHECK(error.code() == "ot.check");
  }
  const Sha256& key = small_key()->public_key().fingerprint();
  CHECK_FALSE(set_ups->find(world.server.url(), key));
  CHECK_FALSE(world.from_file()->find(world.server.url(), key));
  CHECK_FALSE(world.infer(world.from_file()).resumed);
  CHECK(world.infer(world.from_file()).resumed);
}

TEST_CASE("A set-up belongs to one key, one caller's registration and is bounded", "[set_up]") {
  const World world;
  const auto set_ups = std::make_shared<KeptSetUps>();
  world.infer(set_ups);
  const auto kept = set_ups->find(world.server.url(), small_key()->public_key().fingerprint());
  REQUIRE(kept);
  register_key(world.server, 1);
  const auto open = [&](unsigned key, const std::string& name, const std::string& sign_test) {
    const nlohmann::json body = {{"key_id", to_hex(small_key(key)->public_key().fingerprint())},
                                 {"config_id", config_id(world.server.port())},
                                 {"sign_test", sign_test},
                                 {"sign_test_state", name}};
    const RawAnswer answer = ask(world.server.port(), "POST", "/v2/models/tiny/sessions", body.dump());
    REQUIRE(answer.status == 201);
    return nlohmann::json::parse(answer.body).value("sign_test_state", "");
  };
  const std::string name = to_hex(kept->id());
  CHECK(open(0, name, "oblivious") == name);
  CHECK(open(0, name, "blinded") == "");
  CHECK(open(1, name, "oblivious") == "");
  CHECK(open(0, std::string(32, '0'), "oblivious") == "");
  CHECK(open(0, "no name", "oblivious") == "");
  // Newer set-ups push the oldest out.
  for (std::size_t i = 0; i < service::KeyRegistry::kSetUpsPerKey; ++i) {
    CHECK(open(0, name, "oblivious") == name);
    world.infer(std::make_shared<KeptSetUps>());
  }
  CHECK(open(0, name, "oblivious") == "");
}
