// Whole sessions of the engine on packed shares: both parties, real ciphertexts and transfers.
#include <catch2/catch.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "protocols/engines.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/session.h"
#include "protocols/shares/share_facts.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

constexpr unsigned kKeyBits = 512;

models::IntegerNetwork shipped(const std::string& name) {
  return models::read_network("models/requantised/" + name + ".popcorn");
}

SessionOptions with_engine(const std::string& engine) {
  SessionOptions options;
  options.engine = engine;
  return options;
}

std::uint64_t total(const std::vector<Bytes>& messages) {
  return std::accumulate(messages.begin(), messages.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Bytes& message) { return sum + message.size(); });
}

std::string code_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

TEST_CASE("a session on shares gives the requantised network's logits bit for bit and costs what was said",
          "[shares][session]") {
  test::SeededRng rng(601);
  for (const char* name : {"mnist-mlp", "mnist-conv1", "mnist-conv2", "mnist-bnn", "mnist-lenet"}) {
    CAPTURE(name);
    const auto model = ServedModel::create(shipped(name));
    REQUIRE(model->bundle().engines == std::vector<std::string>{"shares", "shares-fast"});
    const WideVector input = test::random_input(rng, model->network());
    const test::Transcript ran =
        test::run_inference(model, test::party(kKeyBits), input, rng, with_engine("shares"));
    const WideVector expected = models::evaluate(model->network(), input);
    REQUIRE(ran.logits.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(ran.logits.to_int64(i) == expected.to_int64(i));
    const InferenceCost cost = predict_cost(*model, kKeyBits, with_engine("shares"));
    CHECK(cost.engine == "shares");
    CHECK(cost.rounds == ran.up.size());
    CHECK(cost.multiplications == ran.counts.multiplications);
    CHECK(cost.bytes_up == total(ran.up));
    CHECK(cost.bytes_down == total(ran.down));
    const InferenceCost client_cost = predict_client_cost(model->bundle(), kKeyBits, with_engine("shares"));
    CHECK(client_cost.bytes_up == cost.bytes_up);
    CHECK(client_cost.bytes_down == cost.bytes_down);
  }
}

TEST_CASE("every tensor that shares hold whole is the plaintext network's", "[shares][session]") {
  test::SeededRng rng(602);
  const auto model = ServedModel::create(shipped("mnist-conv2"));
  const test::Party& keys = test::party(kKeyBits);
  const WideVector input = test::random_input(rng, model->network());
  const std::vector<WideVector> expected = models::evaluate_all(model->network(), input);
  ServerSession server(model, keys.context, with_engine("shares"), rng);
  ClientSession client(model->bundle(), keys.owner, input, with_engine("shares"), rng);
  std::size_t seen = 0, weighted = 0;
  server.observe(client, [&](std::size_t node, const WideVector& values) {
    ++seen;
    const auto kind = model->network().nodes[node].kind;
    weighted += kind == models::NodeKind::dense || kind == models::NodeKind::conv2d ? 1 : 0;
    REQUIRE(values.size() == expected[node].size());
    for (std::size_t i = 0; i < values.size(); ++i) REQUIRE(values.to_int64(i) == expected[node].to_int64(i));
  });
  Bytes answer;
  for (std::optional<ByteView> message = client.start(); message;) {
    answer = server.handle(*message);
    message = client.handle(answer);
  }
  CHECK(seen >= 6);
  CHECK(weighted == 4);
}

TEST_CASE("fast rounding costs fewer bytes and stays close", "[shares][session]") {
  test::SeededRng rng(603);
  const auto model = ServedModel::create(shipped("mnist-conv1"));
  const WideVector input = test::random_input(rng, model->network());
  const test::Transcript nearest =
      test::run_inference(model, test::party(kKeyBits), input, rng, with_engine("shares"));
  const test::Transcript fast =
      test::run_inference(model, test::party(kKeyBits), input, rng, with_engine("shares-fast"));
  CHECK(total(fast.up) + total(fast.down) < total(nearest.up) + total(nearest.down));
  CHECK(fast.logits.size() == nearest.logits.size());
}

TEST_CASE("what is published of shares survives its JSON, and damaged facts are refused",
          "[shares][bundle]") {
  const auto model = ServedModel::create(shipped("mnist-conv2"));
  const std::string text = bundle_to_json(model->bundle());
  const ClientBundle read = bundle_from_json(text);
  REQUIRE(read.share_facts);
  CHECK(bundle_to_json(read) == text);
  const Json good = Json::parse(text);
  const auto refused = [&](const char* pointer, const Json& value) {
    Json damaged = good;
    damaged[Json::json_pointer(pointer)] = value;
    CAPTURE(pointer, value.dump());
    return code_of([&] { bundle_from_json(damaged.dump()); }) == "bundle.shares";
  };
  CHECK(refused("/shares/nodes/1/kind", "telepathy"));
  CHECK(refused("/shares/nodes/1/inputs", Json::array({5})));
  CHECK(refused("/shares/nodes/1/shape", Json::array({1, 2, 3})));
  CHECK(refused("/shares/nodes/1/ring", 31));
  CHECK(refused("/shares/nodes/1/ring", 0));
  CHECK(refused("/shares/nodes/0/shape", Json::array({1 << 20, 1 << 16, 1 << 16})));
  CHECK(refused("/shares/layers/0/groups", 7));
  CHECK(refused("/shares/layers/0/node", 0));
  CHECK(refused("/shares/layers", Json::array()));
  CHECK(refused("/shares/nearest", Json::array()));
  CHECK(refused("/shares/nearest/0", Json::array({1, -1})));
  CHECK(refused("/shares/nodes", Json::array()));
}

TEST_CASE("a session on shares refuses what is out of order, repeated, cut or foreign, and is never kept",
          "[shares][session]") {
  test::SeededRng rng(604);
  const auto model = ServedModel::create(shipped("mnist-mlp"));
  const test::Party& keys = test::party(kKeyBits);
  const WideVector input = test::random_input(rng, model->network());
  ServerSession server(model, keys.context, with_engine("shares"), rng);
  ClientSession client(model->bundle(), keys.owner, input, with_engine("shares"), rng);
  const Bytes first = client.start();
  const Bytes reply = server.handle(first);
  CHECK(code_of([&] { server.handle(first); }) == "round.repeated");
  const std::optional<ByteView> next = client.handle(reply);
  REQUIRE(next);
  const Bytes second(next->begin(), next->end());
  CHECK(code_of([&] { client.handle(reply); }) == "round.repeated");
  CHECK(code_of([&] { server.handle(ByteView(second).first(second.size() - 1)); }) == "message.truncated");
  CHECK_FALSE(server.can_be_kept());
  CHECK(code_of([&] { server.save(); }) == "session.not_kept");
  CHECK(code_of([&] { client.save(); }) == "session.not_kept");
  ServerSession other(model, test::party(kKeyBits, 1).context, with_engine("shares"), rng);
  CHECK(code_of([&] { other.handle(first); }) == "message.foreign_key");

  // A flipped bit of a flight never goes unnoticed into an answer of the right form: it fails a check, or the
  // result is another one, and nothing more is told.
  Bytes answer = server.handle(second);
  std::optional<ByteView> message = client.handle(answer);
  while (message && client.step_name() != "online") {
    answer = server.handle(*message);
    message = client.handle(answer);
  }
  REQUIRE(message);
  answer = server.handle(*message);
  Bytes damaged = answer;
  damaged.pop_back();
  CHECK(code_of([&] { client.handle(damaged); }) == "message.truncated");
}

TEST_CASE("exact networks are not offered on shares", "[shares][session]") {
  test::SeededRng rng(605);
  const models::IntegerNetwork exact = test::random_network(rng);
  CHECK(ServedModel::create(exact)->bundle().engines == std::vector<std::string>{"ciphertext"});
  CHECK(code_of([&] { ServedModel::create(exact, kDefaultChunk, {}, {"shares"}); }) == "shares.network");
}

}  // namespace
}  // namespace popcorn::protocols
