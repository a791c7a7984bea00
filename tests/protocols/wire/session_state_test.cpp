// Sessions that move from one process to another between two rounds, and set-ups that serve several sessions.
#include "protocols/wire/session_state.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/session/session.h"
#include "protocols/wire/message.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using test::party;
using test::Party;

using KeptState = std::shared_ptr<const ot::KeptSetUp>;

/// The state with the first letter of a word in it changed: an option that nobody has.
Bytes without_word(const Bytes& state, const std::string& word) {
  Bytes changed = state;
  const auto place = std::ranges::search(changed, as_bytes(word)).begin();
  REQUIRE(place != changed.end());
  *place ^= 1;
  return changed;
}

struct States {
  KeptState server, client;
};

struct Run {
  WideVector logits;
  std::vector<Bytes> up, down;
  std::vector<Bytes> saved;  ///< the server's state before each round
};

/// A whole inference whose server is saved, forgotten and restored before every round.
Run run_moving(const std::shared_ptr<const ServedModel>& model, const Party& keys, const WideVector& input,
               Rng& rng, const std::string& sign_test, States* states = nullptr) {
  SessionOptions server_options{.sign_test = sign_test};
  SessionOptions client_options = server_options;
  if (states != nullptr) {
    server_options.transfer_set_up = states->server;
    client_options.transfer_set_up = states->client;
  }
  auto server = std::make_unique<ServerSession>(model, keys.context, server_options, rng);
  ClientSession client(model->bundle(), keys.owner, input, client_options, rng);
  Run run;
  KeptState kept;
  for (std::optional<ByteView> message = client.start(); message;) {
    run.saved.push_back(server->save());
    server = ServerSession::restore(model, keys.context, run.saved.back(), rng);
    run.up.emplace_back(message->begin(), message->end());
    run.down.push_back(server->handle(*message));
    if (server->transfer_set_up()) kept = server->transfer_set_up();
    message = client.handle(run.down.back());
  }
  run.logits = client.logits();
  REQUIRE(server->finished());
  REQUIRE_THROWS_AS(server->save(), Error);
  if (states != nullptr) *states = {kept, client.transfer_set_up()};
  return run;
}

TEST_CASE("a session that moves before every round gives the plaintext network's answer", "[state]") {
  test::SeededRng rng(71);
  std::set<models::NodeKind> kinds;
  for (int round = 0; round < 24; ++round) {
    models::IntegerNetwork network = test::random_network(rng);
    for (const auto& node : network.nodes) kinds.insert(node.kind);
    const WideVector input = test::random_input(rng, network);
    const WideVector expected = models::evaluate_all(network, input).back();
    const unsigned key_bits = test::fitting_key_bits(network);
    const auto model = ServedModel::create(std::move(network), round % 3 == 0 ? 3 : kDefaultChunk);
    const char* sign_test = round % 2 == 0 ? "oblivious" : "blinded";
    CAPTURE(round, sign_test);
    REQUIRE(run_moving(model, party(key_bits), input, rng, sign_test).logits == expected);
  }
  REQUIRE(kinds.size() == 11);
}

struct Small {
  test::SeededRng rng{72};
  std::shared_ptr<const ServedModel> model;
  WideVector input{1, 1}, expected{1, 1};
  const Party* keys = nullptr;

  Small() {
    models::IntegerNetwork network;
    do network = test::random_network(rng);
    while (plan_steps(network).size() < 3);
    input = test::random_input(rng, network);
    expected = models::evaluate_all(network, input).back();
    keys = &party(test::fitting_key_bits(network));
    model = ServedModel::create(std::move(network));
  }
};

TEST_CASE("a damaged, cut, foreign or newer state is refused", "[state]") {
  Small small;
  for (const char* sign_test : {"oblivious", "blinded"}) {
    const Run run = run_moving(small.model, *small.keys, small.input, small.rng, sign_test);
    const auto restore = [&](const Bytes& bytes) {
      return ServerSession::restore(small.model, small.keys->context, bytes, small.rng);
    };
    for (std::size_t round = 0; round < run.saved.size(); ++round) {
      CAPTURE(sign_test, round);
      const Bytes& good = run.saved[round];
      REQUIRE(restore(good)->next_round() == round);
      for (int i = 0; i < 12; ++i) {
        Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(small.rng.below(good.size())));
        REQUIRE_THROWS_AS(restore(cut), InputError);
      }
      Bytes longer = good;
      longer.push_back(0);
      REQUIRE_THROWS_AS(restore(longer), InputError);
      Bytes newer = good;
      ++newer[4];
      REQUIRE_THROWS_AS(restore(newer), InputError);
      for (const std::string& word : {std::string(sign_test), std::string("logits")}) {
        REQUIRE_THROWS_AS(restore(without_word(good, word)), InputError);
      }
      // Anything else either is refused as what it is or is another state that can be worked on.
      for (int i = 0; i < 40; ++i) {
        Bytes damaged = good;
        damaged[small.rng.below(damaged.size())] ^= static_cast<std::uint8_t>(1 + small.rng.below(255));
        try {
          const auto session = restore(damaged);
          if (session->next_round() == round) session->handle(run.up[round]);
        } catch (const Error&) {
          continue;
        }
      }
    }
    const Party& other = party(small.keys->owner->public_key().bits(), 1);
    REQUIRE_THROWS_AS(ServerSession::restore(small.model, other.context, run.saved[1]), InputError);
    const auto another = ServedModel::create(test::random_network(small.rng));
    REQUIRE_THROWS_AS(ServerSession::restore(another, small.keys->context, run.saved[1]), InputError);
  }
}

/// A whole inference whose client is saved, forgotten and restored after every answer but the first.
struct ClientRun {
  WideVector logits;
  std::vector<Bytes> saved;
  std::size_t restored = 0;
};

ClientRun run_with_moving_client(const std::shared_ptr<const ServedModel>& model, const Party& keys,
                                 const WideVector& input, Rng& rng, const SessionOptions& server_options,
                                 const SessionOptions& client_options) {
  ServerSession server(model, keys.context, server_options, rng);
  auto client = std::make_unique<ClientSession>(model->bundle(), keys.owner, input, client_options, rng);
  ClientRun run;
  REQUIRE_THROWS_AS(client->save(), Error);
  for (Bytes message = client->start(); !message.empty();) {
    const Bytes answer = server.handle(message);
    const std::optional<ByteView> next = client->handle(answer);
    message.clear();
    if (!next) break;
    message.assign(next->begin(), next->end());
    run.saved.push_back(client->save());
    client = ClientSession::restore(model->bundle(), keys.owner, run.saved.back(), rng);
    REQUIRE(client->message() == message);
    REQUIRE(client->round() == server.next_round());
    ++run.restored;
  }
  run.logits = client->logits();
  REQUIRE_THROWS_AS(client->save(), Error);
  return run;
}

TEST_CASE("a client that starts again in every round gets the plaintext network's answer", "[state]") {
  test::SeededRng rng(74);
  std::size_t restored = 0;
  for (int round = 0; round < 16; ++round) {
    models::IntegerNetwork network = test::random_network(rng);
    const WideVector input = test::random_input(rng, network);
    const WideVector expected = models::evaluate_all(network, input).back();
    const Party& keys = party(test::fitting_key_bits(network));
    const auto model = ServedModel::create(std::move(network), round % 3 == 0 ? 3 : kDefaultChunk);
    SessionOptions server_options{.sign_test = round % 2 == 0 ? "oblivious" : "blinded"};
    SessionOptions client_options = server_options;
    CAPTURE(round, server_options.sign_test);
    const ClientRun run = run_with_moving_client(model, keys, input, rng, server_options, client_options);
    REQUIRE(run.logits == expected);
    restored += run.restored;
    if (round % 2 != 0) continue;
    // Again on a set-up that both kept.
    States states;
    run_moving(model, keys, input, rng, "oblivious", &states);
    server_options.transfer_set_up = states.server;
    client_options.transfer_set_up = states.client;
    if (states.server == nullptr) continue;
    REQUIRE(run_with_moving_client(model, keys, input, rng, server_options, client_options).logits ==
            expected);
  }
  REQUIRE(restored > 60);
}

TEST_CASE("a damaged, cut, foreign or newer state of a client is refused", "[state]") {
  Small small;
  for (const char* sign_test : {"oblivious", "blinded"}) {
    const SessionOptions options{.sign_test = sign_test};
    const ClientRun run =
        run_with_moving_client(small.model, *small.keys, small.input, small.rng, options, options);
    const auto restore = [&](const Bytes& bytes) {
      return ClientSession::restore(small.model->bundle(), small.keys->owner, bytes, small.rng);
    };
    for (const Bytes& good : run.saved) {
      CAPTURE(sign_test);
      for (int i = 0; i < 12; ++i) {
        const Bytes cut(good.begin(),
                        good.begin() + static_cast<std::ptrdiff_t>(small.rng.below(good.size())));
        REQUIRE_THROWS_AS(restore(cut), InputError);
      }
      Bytes longer = good;
      longer.push_back(0);
      REQUIRE_THROWS_AS(restore(longer), InputError);
      Bytes newer = good;
      ++newer[4];
      REQUIRE_THROWS_AS(restore(newer), InputError);
      for (const std::string& word : {std::string(sign_test), std::string("logits")}) {
        REQUIRE_THROWS_AS(restore(without_word(good, word)), InputError);
      }
      for (int i = 0; i < 40; ++i) {  // refused as what it is, or another state
        Bytes damaged = good;
        damaged[small.rng.below(damaged.size())] ^= static_cast<std::uint8_t>(1 + small.rng.below(255));
        try {
          restore(damaged);
        } catch (const Error&) {
          continue;
        }
      }
    }
    const Party& other = party(small.keys->owner->public_key().bits(), 1);
    REQUIRE_THROWS_AS(ClientSession::restore(small.model->bundle(), other.owner, run.saved[0]), InputError);
    const auto another = ServedModel::create(test::random_network(small.rng));
    REQUIRE_THROWS_AS(ClientSession::restore(another->bundle(), small.keys->owner, run.saved[0]), InputError);
  }
}

TEST_CASE("several inferences on one set-up, which later ones do not send again", "[state]") {
  Small small;
  States states;
  std::vector<std::size_t> up, down;
  std::set<std::string> transfers;  // the first request of the extension, which hides equal choices
  for (int inference = 0; inference < 4; ++inference) {
    CAPTURE(inference);
    const Run run = run_moving(small.model, *small.keys, small.input, small.rng, "oblivious", &states);
    REQUIRE(run.logits == small.expected);
    up.push_back(run.up[0].size() + run.up[1].size());
    down.push_back(run.down[0].size());
    const Bytes& answer = run.up[1];
    transfers.insert(to_hex(ByteView(answer).last(32)));
    // Both halves survive their files.
    Bytes server, client;
    states.server->serialise(server);
    states.client->serialise(client);
    states = {ot::server_set_up(server), ot::client_set_up(client)};
    REQUIRE(to_hex(states.server->id()) == to_hex(states.client->id()));
    REQUIRE_THROWS_AS(ot::server_set_up(client), InputError);
    REQUIRE_THROWS_AS(ot::client_set_up(server), InputError);
    server.back() ^= 1;
    server.pop_back();
    REQUIRE_THROWS_AS(ot::server_set_up(server), InputError);
  }
  const unsigned bits = small.keys->owner->public_key().bits();
  const ClientBundle& bundle = small.model->bundle();
  const RoundPlan full(bundle, sign_test_named("oblivious"), bits, false);
  const RoundPlan resumed(bundle, sign_test_named("oblivious"), bits, true);
  REQUIRE(up[0] == full.client_message(0).bytes() + full.client_message(1).bytes());
  for (int later = 1; later < 4; ++later) {
    REQUIRE(up[later] == resumed.client_message(0).bytes() + resumed.client_message(1).bytes());
    REQUIRE(down[later] == resumed.server_message(0).bytes());
  }
  // One point of the base transfers against a nonce.
  REQUIRE(up[0] - up[1] == 32 - 16);
  REQUIRE(down[0] > down[1]);
  REQUIRE(transfers.size() == 4);
}

TEST_CASE("a session that broke off has used its streams up, also when an old copy comes back", "[state]") {
  Small small;
  States states;
  run_moving(small.model, *small.keys, small.input, small.rng, "oblivious", &states);
  const States old_copy = states;
  const auto first_transfers = [&](Rng& server_rng, Rng& client_rng) {
    ServerSession server(small.model, small.keys->context, {.transfer_set_up = old_copy.server}, server_rng);
    ClientSession client(small.model->bundle(), small.keys->owner, small.input,
                         {.transfer_set_up = old_copy.client}, client_rng);
    const Bytes question = server.handle(client.start());
    const auto answer = client.handle(question);
    return to_hex(answer->last(32 * 8));
  };
  // Either party's nonce alone is enough for another stream: here one of them repeats all its draws.
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    test::SeededRng same(5);
    seen.insert(first_transfers(same, small.rng));
    test::SeededRng same_again(6);
    seen.insert(first_transfers(small.rng, same_again));
  }
  REQUIRE(seen.size() == 6);
  REQUIRE(run_moving(small.model, *small.keys, small.input, small.rng, "oblivious", &states).logits ==
          small.expected);
}

TEST_CASE("two sessions of one set-up at the same time do not disturb each other", "[state]") {
  Small small;
  States states;
  run_moving(small.model, *small.keys, small.input, small.rng, "oblivious", &states);
  struct Half {
    std::unique_ptr<ServerSession> server;
    std::unique_ptr<ClientSession> client;
  };
  std::vector<Half> halves(2);
  for (Half& half : halves) {
    half.server = std::make_unique<ServerSession>(
        small.model, small.keys->context, SessionOptions{.transfer_set_up = states.server}, small.rng);
    half.client =
        std::make_unique<ClientSession>(small.model->bundle(), small.keys->owner, small.input,
                                        SessionOptions{.transfer_set_up = states.client}, small.rng);
  }
  std::vector<Bytes> messages = {halves[0].client->start(), halves[1].client->start()};
  while (!halves[0].client->finished()) {
    for (std::size_t i = 0; i < 2; ++i) {
      Half& half = halves[i];
      // A repeated message and one from the future change nothing.
      const Bytes question = half.server->handle(messages[i]);
      if (!half.server->finished()) REQUIRE_THROWS_AS(half.server->handle(messages[i]), InputError);
      const auto next = half.client->handle(question);
      if (!next) continue;
      REQUIRE_THROWS_AS(half.client->handle(question), InputError);
      messages[i].assign(next->begin(), next->end());
    }
  }
  for (const Half& half : halves) REQUIRE(half.client->logits() == small.expected);
}

}  // namespace
}  // namespace popcorn::protocols
