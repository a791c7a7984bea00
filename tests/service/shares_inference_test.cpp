// Whole inferences on shares between the real server and the real client.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "models/network/arg_max.h"
#include "protocols/session/cost_prediction.h"
#include "tests/service/service_fixture.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

service::ClientOptions with_engine(const std::string& engine) {
  service::ClientOptions options;
  options.engine = engine;
  return options;
}

protocols::SessionOptions session_with(const std::string& engine) {
  protocols::SessionOptions options;
  options.engine = engine;
  return options;
}

}  // namespace

TEST_CASE("Inferences on shares through HTTP are bit-exact and cost what was said", "[inference][shares]") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const SmallShares small = small_shares("tiny", 100 * seed);
    auto options = small_server_options();
    options.models = {small.model};
    RunningServer server(options);
    for (const std::string engine : {"shares", "shares-fast"}) {
      CAPTURE(seed, engine);
      service::Client client(server.url(), with_engine(engine));
      const auto bundle = client.bundle("tiny");
      const auto result = client.infer(bundle, small_key(), small.input);
      if (engine == "shares") CHECK(result.logits == plaintext_logits(*small.model, small.input));
      CHECK(result.engine == engine);
      const auto cost =
          protocols::predict_cost(*small.model, small_key()->public_key().bits(), session_with(engine));
      CHECK(result.bytes_up == cost.bytes_up);
      CHECK(result.bytes_down == cost.bytes_down);
      CHECK(result.rounds == cost.rounds);
    }
    CHECK(server.server().statistics().sessions_finished == 2);
  }
}

TEST_CASE("The label alone, on shares through HTTP", "[inference][shares]") {
  std::size_t checked = 0;
  for (std::uint64_t seed = 1; checked < 5; ++seed) {
    const SmallShares small = small_shares("tiny", 1000 * seed);
    if (small.model->network().output().shape.size() < 2) continue;
    std::shared_ptr<const protocols::ServedModel> labelled;
    try {
      labelled = protocols::ServedModel::create(models::with_arg_max(small.model->network()),
                                                protocols::kDefaultChunk, {}, {"shares", "shares-fast"});
    } catch (const InputError& error) {
      REQUIRE((error.code() == "model.arg_max" || error.code() == "shares.label"));
      continue;
    }
    CAPTURE(seed);
    ++checked;
    auto options = small_server_options();
    options.models = {small.model, labelled};
    const RunningServer server(options);
    service::Client client(server.url(), with_engine("shares"));
    const auto result = client.infer(client.bundle("tiny.label"), small_key(), small.input);
    CHECK(result.logits == plaintext_logits(*labelled, small.input));
    REQUIRE(result.logits.size() == 1);
    // Twice the first of the largest logits.
    const WideVector logits = plaintext_logits(*small.model, small.input);
    std::size_t largest = 0;
    for (std::size_t i = 1; i < logits.size(); ++i) {
      if (WideVector::compare(logits, i, logits, largest) > 0) largest = i;
    }
    CHECK(result.logits.to_int64(0) == 2 * static_cast<std::int64_t>(largest));
    const auto cost =
        protocols::predict_cost(*labelled, small_key()->public_key().bits(), session_with("shares"));
    CHECK(result.bytes_up == cost.bytes_up);
    CHECK(result.bytes_down == cost.bytes_down);
  }
}

TEST_CASE("Many clients on shares at once, each with its own key", "[inference][shares]") {
  const SmallShares small = small_shares("tiny", 7);
  auto options = small_server_options();
  options.models = {small.model};
  const RunningServer server(options);
  const WideVector expected = plaintext_logits(*small.model, small.input);
  std::atomic<int> exact{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      service::Client client(server.url(), with_engine("shares"));
      const auto bundle = client.bundle("tiny");
      for (int run = 0; run < 3; ++run)
        exact += client.infer(bundle, small_key(i % 3), small.input).logits == expected ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(exact == 12);
}
