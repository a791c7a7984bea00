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
  CHECK(refused("/shares/nearest/online", Json::array()));
  CHECK(refused("/shares/nearest/online/0", Json::array({1, -1})));
  CHECK(refused("/shares/nearest/transfers/0", Json::array({-1, 1})));
  CHECK(refused("/shares/fast/transfers", 3));
  CHECK(refused("/shares/nodes", Json::array()));
}

TEST_CASE("a session on shares refuses what is out of order, repeated, cut or foreign", "[shares][session]") {
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

/// Both parties of a preparation; each of them is saved, forgotten and restored before every message, but for
/// those that make transfers.
struct Movers {
  std::shared_ptr<const ServedModel> model;
  const test::Party& keys;
  Rng& rng;
  std::unique_ptr<ServerSession> server;
  std::unique_ptr<ClientSession> client;
  Bytes message;  ///< of the client, given last
  unsigned moves = 0;

  void move() {
    if (server->can_be_kept()) {
      ++moves;
      server = ServerSession::restore(model, keys.context, server->save(), rng);
    } else {
      REQUIRE_FALSE(client->can_be_kept());  // it has begun to make transfers too
    }
    if (client->round() > 0 && client->can_be_kept())
      client = ClientSession::restore(model->bundle(), keys.owner, client->save(), rng);
  }

  /// Until an input is awaited or the first online message is made.
  void prepare() {
    std::optional<ByteView> next = client->start();
    while (next) {
      message.assign(next->begin(), next->end());
      if (server->next_round() == server->preparation_rounds()) return;
      move();
      next = client->handle(server->handle(message));
    }
  }

  WideVector finish() {
    for (;;) {
      const std::optional<ByteView> next = client->handle(server->handle(message));
      if (!next) return client->logits();
      message.assign(next->begin(), next->end());
    }
  }
};

TEST_CASE("both parties of a preparation move before every round; its online phase is never kept",
          "[shares][session][kept]") {
  test::SeededRng rng(606);
  for (const char* name : {"mnist-conv2", "mnist-bnn"}) {
    CAPTURE(name);
    const auto model = ServedModel::create(shipped(name));
    const test::Party& keys = test::party(kKeyBits);
    const WideVector input = test::random_input(rng, model->network());
    Movers movers{
        model,
        keys,
        rng,
        std::make_unique<ServerSession>(model, keys.context, with_engine("shares"), rng),
        std::make_unique<ClientSession>(model->bundle(), keys.owner, input, with_engine("shares"), rng),
        {}};
    movers.prepare();
    REQUIRE(movers.server->next_round() == movers.server->preparation_rounds());
    CHECK(movers.moves >= 3);
    // The first online message is made: to make it again with other values would show how they differ.
    CHECK(code_of([&] { movers.client->save(); }) == "session.not_kept");
    CHECK(movers.server->can_be_kept());
    const Bytes answer = movers.server->handle(movers.message);
    CHECK(code_of([&] { movers.server->save(); }) == "session.not_kept");
    const std::optional<ByteView> next = movers.client->handle(answer);
    REQUIRE(next);
    movers.message.assign(next->begin(), next->end());
    CHECK(movers.finish() == models::evaluate(model->network(), input));
  }
}

TEST_CASE("an input may come after the preparation, to other processes, once", "[shares][session][kept]") {
  test::SeededRng rng(607);
  const auto model = ServedModel::create(shipped("mnist-conv1"));
  const test::Party& keys = test::party(kKeyBits);
  const WideVector input = test::random_input(rng, model->network());
  Movers movers{model,
                keys,
                rng,
                std::make_unique<ServerSession>(model, keys.context, with_engine("shares"), rng),
                ClientSession::preparation(model->bundle(), keys.owner, with_engine("shares"), rng),
                {}};
  CHECK_FALSE(movers.client->awaits_input());
  CHECK(code_of([&] { movers.client->provide(input); }) == "session.input");
  movers.prepare();
  REQUIRE(movers.client->awaits_input());
  CHECK_FALSE(movers.client->finished());
  movers.move();
  REQUIRE(movers.client->awaits_input());
  CHECK(code_of([&] { movers.client->handle(movers.message); }) == "session.input");
  CHECK(code_of([&] { movers.client->provide(WideVector(3, 1)); }) == "input.size");
  WideVector beyond = input;
  beyond.set_int64(5, std::int64_t{1} << 40);
  CHECK(code_of([&] { movers.client->provide(beyond); }) == "input.range");
  const ByteView first = movers.client->provide(input);
  movers.message.assign(first.begin(), first.end());
  CHECK_FALSE(movers.client->awaits_input());
  CHECK(code_of([&] { movers.client->provide(input); }) == "session.input");
  CHECK(code_of([&] { movers.client->save(); }) == "session.not_kept");
  CHECK(movers.finish() == models::evaluate(model->network(), input));

  const auto exact = ServedModel::create(test::random_network(rng));
  CHECK(code_of([&] { ClientSession::preparation(exact->bundle(), test::party(2048).owner); }) ==
        "session.preparation");
}

TEST_CASE("damaged states of a preparation are refused or are sessions, never crashes",
          "[shares][session][kept]") {
  test::SeededRng rng(608);
  const auto model = ServedModel::create(shipped("mnist-conv2"));
  const test::Party& keys = test::party(kKeyBits);
  Movers movers{model,
                keys,
                rng,
                std::make_unique<ServerSession>(model, keys.context, with_engine("shares"), rng),
                ClientSession::preparation(model->bundle(), keys.owner, with_engine("shares"), rng),
                {}};
  movers.prepare();
  const Bytes client_state = movers.client->save();
  const Bytes server_state = movers.server->save();
  const auto restore_client = [&](ByteView state) {
    ClientSession::restore(model->bundle(), keys.owner, state, rng);
  };
  const auto restore_server = [&](ByteView state) {
    ServerSession::restore(model, keys.context, state, rng);
  };
  unsigned refused = 0;
  for (int trial = 0; trial < 120; ++trial) {
    const bool of_client = trial % 2 == 0;
    Bytes state = of_client ? client_state : server_state;
    if (trial % 4 < 2) {
      state.resize(rng.below(state.size()));
    } else {
      state[rng.below(state.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
    }
    const std::string code = code_of([&] { of_client ? restore_client(state) : restore_server(state); });
    CAPTURE(trial, code);
    CHECK((code.empty() || code.starts_with("session_state.")));
    if (trial % 4 < 2) CHECK_FALSE(code.empty());
    refused += code.empty() ? 0 : 1;
  }
  CHECK(refused >= 60);
  // An answer that another party's state would need.
  CHECK(code_of([&] { restore_client(server_state); }).starts_with("session_state."));
  CHECK(code_of([&] { restore_server(client_state); }).starts_with("session_state."));
}

TEST_CASE("exact networks are not offered on shares", "[shares][session]") {
  test::SeededRng rng(605);
  const models::IntegerNetwork exact = test::random_network(rng);
  CHECK(ServedModel::create(exact)->bundle().engines == std::vector<std::string>{"ciphertext"});
  CHECK(code_of([&] { ServedModel::create(exact, kDefaultChunk, {}, {"shares"}); }) == "shares.network");
}

}  // namespace
}  // namespace popcorn::protocols
