// Whole inferences between the real server and the real client.
#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "protocols/session/cost_prediction.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

TEST_CASE("An inference through HTTP is bit-exact and counted", "[inference]") {
  auto options = small_server_options();
  options.models = {small_model("first", 10), small_model("second", 20)};
  const auto models = options.models;
  RunningServer server(options);
  service::Client client(server.url());
  CHECK(client.models() == std::vector<std::string>{"first", "second"});
  SeededRng rng(3);
  std::uint64_t up = 0, down = 0;
  unsigned key = 0;  // another one for each model, so that each inference makes its own set-up
  for (const auto& model : models) {
    const auto owner = small_key(key++);
    const auto bundle = client.bundle(model->bundle().model);
    const WideVector input = random_input(rng, model->network());
    std::vector<std::uint64_t> done;
    const auto result = client.infer(bundle, owner, input,
                                     [&](std::uint64_t round, std::uint64_t rounds, const std::string& step) {
                                       done.push_back(round);
                                       CHECK(rounds >= 2);
                                       CHECK_FALSE(step.empty());
                                     });
    CHECK(result.logits == plaintext_logits(*model, input));
    const auto cost = protocols::predict_cost(*model, small_key()->public_key().bits());
    CHECK(result.bytes_up == cost.bytes_up);
    CHECK(result.bytes_down == cost.bytes_down);
    CHECK(result.rounds == cost.rounds);
    CHECK(done.size() == cost.rounds);
    CHECK(result.seconds >= result.client_seconds);
    CHECK(result.client_seconds >= result.encrypt_seconds);
    up += result.bytes_up;
    down += result.bytes_down;
  }
  const auto saw = server.server().statistics();
  CHECK(saw.sessions_started == 2);
  CHECK(saw.sessions_finished == 2);
  CHECK(saw.bytes_received == up);
  CHECK(saw.bytes_sent == down);
  CHECK(saw.multiplications > 0);
  CHECK(saw.ciphertexts_received > 0);
}

namespace {

/// A requantised network for the engines on shares, under the name of an exact one.
std::shared_ptr<const protocols::ServedModel> requantised_model(const std::string& name) {
  RandomNetworkOptions options = requantised_options();
  options.nodes = 4;
  options.max_extent = 4;
  options.max_channels = 2;
  for (std::uint64_t seed = 1;; ++seed) {
    SeededRng rng(seed);
    models::IntegerNetwork network = random_network(rng, options);
    network.name = name;
    try {
      return protocols::ServedModel::create(std::move(network), protocols::kDefaultChunk, {},
                                            {"shares", "shares-fast"});
    } catch (const Error&) {
      continue;  // wider than shares are
    }
  }
}

}  // namespace

TEST_CASE("One name is served in two forms, and the engine decides which", "[inference]") {
  auto options = small_server_options();
  const auto exact = small_model("net", 10);
  const auto form = requantised_model("net");
  options.models = {exact, form};
  const RunningServer server(options);
  SeededRng rng(5);
  for (const std::string engine : {"", "ciphertext", "shares", "shares-fast"}) {
    service::ClientOptions connection;
    connection.engine = engine;
    service::Client client(server.url(), connection);
    CHECK(client.models() == std::vector<std::string>{"net"});
    const auto bundle = client.bundle("net");
    const auto& served = engine.starts_with("shares") ? form : exact;
    CHECK(bundle.engines == served->bundle().engines);
    if (engine == "shares-fast") continue;  // rounds at random
    const WideVector input = random_input(rng, served->network());
    const auto result = client.infer(bundle, small_key(), input);
    CHECK(result.engine == (engine.empty() ? "ciphertext" : engine));
    CHECK(result.logits == plaintext_logits(*served, input));
  }
  const auto metadata = nlohmann::json::parse(ask(server.port(), "GET", "/v2/models/net?engine=shares").body);
  CHECK(metadata["engines"] == nlohmann::json{"ciphertext", "shares", "shares-fast"});
  const auto preferred = nlohmann::json::parse(ask(server.port(), "GET", "/v2/models/net").body);
  CHECK(metadata["config_id"] != preferred["config_id"]);
  const RawAnswer refused = ask(server.port(), "GET", "/v2/models/net/client?engine=none");
  CHECK(refused.status == 422);
  CHECK(refused.body.find("shares-fast") != std::string::npos);
  options.models = {form, exact, form};
  CHECK_THROWS_AS(RunningServer(options), UsageError);
}

TEST_CASE("Many clients at once, each with its own key, all bit-exact", "[inference]") {
  const RunningServer server;
  const auto model = small_model("tiny");
  std::atomic<int> exact{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      SeededRng rng(100 + i);
      service::Client client(server.url());
      const auto bundle = client.bundle("tiny");
      for (int run = 0; run < 3; ++run) {
        const WideVector input = random_input(rng, model->network());
        exact +=
            client.infer(bundle, small_key(i % 3), input).logits == plaintext_logits(*model, input) ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(exact == 18);
}

TEST_CASE("The same body sent by many at once is computed once", "[inference]") {
  RunningServer server;
  const auto model = small_model("tiny");
  SeededRng rng(5);
  const WideVector input = random_input(rng, model->network());
  protocols::ClientSession client(model->bundle(), small_key(), input);
  const Bytes message = client.start();
  const std::string id = open_session(server, *model);
  std::vector<RawAnswer> answers(8);
  std::vector<std::thread> threads;
  for (auto& answer : answers) {
    threads.emplace_back([&] { answer = send_round(server, id, 0, message); });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  const auto multiplications = server.server().statistics().multiplications;
  for (const auto& answer : answers) {
    CHECK(answer.status == 200);
    CHECK(answer.body == answers.front().body);
  }
  send_round(server, id, 0, message);
  CHECK(server.server().statistics().multiplications == multiplications);
}

TEST_CASE("Whatever the server refuses reaches the caller as its kind of error", "[inference]") {
  const RunningServer server;
  service::ClientOptions options;
  options.retry_seconds = 0;
  options.round_retry_seconds = 0;
  service::Client client(server.url(), options);
  const auto model = small_model("tiny");
  SeededRng rng(5);
  const WideVector input = random_input(rng, model->network());
  for (const char* name : {"other", "a/b", "", "a?b"}) {
    try {
      client.bundle(name);
      FAIL("a bundle of nothing");
    } catch (const RefusedError& error) {
      CHECK(error.code() == "model.not_found");
      CHECK(std::string(error.what()).find("tiny") != std::string::npos);
    }
  }
  auto bundle = client.bundle("tiny");
  bundle.config_id = "old";
  try {
    client.infer(bundle, small_key(), input);
    FAIL("an old configuration was served");
  } catch (const RefusedError& error) {
    CHECK(error.code() == "config.gone");
  }
  service::ClientOptions strange = options;
  strange.sign_test = "guess";
  CHECK_THROWS_AS(service::Client(server.url(), strange).infer(client.bundle("tiny"), small_key(), input),
                  InputError);
}

TEST_CASE("A server that is busy is asked again, and one that stays busy is an error", "[inference]") {
  auto options = small_server_options();
  options.max_sessions = 1;
  const RunningServer server(options);
  const auto model = small_model("tiny");
  SeededRng rng(5);
  const WideVector input = random_input(rng, model->network());
  const std::string blocking = open_session(server, *model);
  service::ClientOptions impatient;
  impatient.retry_seconds = 0;
  impatient.round_retry_seconds = 0;
  service::Client hasty(server.url(), impatient);
  const auto bundle = hasty.bundle("tiny");
  CHECK_THROWS_AS(hasty.infer(bundle, small_key(), input), RefusedError);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ask(server.port(), "DELETE", "/v2/sessions/" + blocking);
  });
  service::ClientOptions patient;
  patient.retry_seconds = 30;
  const auto result = service::Client(server.url(), patient).infer(bundle, small_key(), input);
  other.join();
  CHECK(result.logits == plaintext_logits(*model, input));
  CHECK(result.retries >= 1);
}

TEST_CASE("The cancel flag ends an inference and its session", "[inference]") {
  RunningServer server;
  const auto model = small_model("tiny");
  SeededRng rng(5);
  const WideVector input = random_input(rng, model->network());
  std::atomic<bool> cancel{false};
  service::ClientOptions options;
  options.cancel = &cancel;
  service::Client client(server.url(), options);
  const auto bundle = client.bundle("tiny");
  try {
    client.infer(bundle, small_key(), input,
                 [&](std::uint64_t done, std::uint64_t, const std::string&) { cancel = done == 1; });
    FAIL("it went on");
  } catch (const Error& error) {
    CHECK(error.code() == "interrupted");
    CHECK(error.exit_code() == 130);
  }
  CHECK(server.server().statistics().sessions_started == 1);
  CHECK(server.server().statistics().sessions_finished == 0);
  const auto log = server.log_lines();
  const auto last = nlohmann::json::parse(log.back());
  CHECK(last.at("method") == "DELETE");
  CHECK(last.at("status") == 204);
}
