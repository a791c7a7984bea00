// Messages that arrive in pieces: the same answers, the same work and the same errors as in one.
#include "protocols/wire/message_pieces.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/session/cost_prediction.h"
#include "protocols/session/message_intake.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

/// Cuts a message at random places, now and then into single bytes.
std::vector<ByteView> random_pieces(test::SeededRng& rng, ByteView message) {
  std::vector<ByteView> pieces;
  const auto longest = static_cast<std::int64_t>(message.size()) / rng.between(1, 20) + 1;
  while (!message.empty()) {
    const bool tiny = rng.between(0, 9) == 0;
    const auto size = std::min(message.size(), static_cast<std::size_t>(rng.between(0, tiny ? 1 : longest)));
    pieces.push_back(message.first(size));
    message = message.subspan(size);
  }
  return pieces;
}

Bytes handle_in_pieces(ServerSession& server, ByteView message, test::SeededRng& rng) {
  MessageIntake intake(server.key(), message.size());
  for (const ByteView piece : random_pieces(rng, message)) intake.take(piece);
  return server.handle(intake);
}

std::optional<ByteView> handle_in_pieces(ClientSession& client, ByteView message, test::SeededRng& rng) {
  client.begin_answer();
  for (const ByteView piece : random_pieces(rng, message)) client.take_answer(piece);
  return client.finish_answer();
}

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.code();
  }
  return "";
}

struct World {
  World(std::uint64_t seed, const std::string& sign_test)
      : rng(seed),
        model(ServedModel::create(test::random_network(rng), 7)),
        keys(test::party(test::fitting_key_bits(model->network()))),
        input(test::random_input(rng, model->network())) {
    options.sign_test = sign_test;
  }

  test::SeededRng rng;
  std::shared_ptr<const ServedModel> model;
  const test::Party& keys;
  WideVector input;
  SessionOptions options;
};

TEST_CASE("an inference in pieces gives the plaintext's logits, with the multiplications of one in wholes",
          "[pieces]") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(sign_test, seed);
    World world(seed, sign_test);
    ServerSession server(world.model, world.keys.context, world.options);
    ClientSession client(world.model->bundle(), world.keys.owner, world.input, world.options);
    for (std::optional<ByteView> message = client.start(); message;) {
      const Bytes reply = handle_in_pieces(server, *message, world.rng);
      message = handle_in_pieces(client, reply, world.rng);
    }
    CHECK(client.logits() == models::evaluate(world.model->network(), world.input));
    const unsigned key_bits = world.keys.owner->public_key().bits();
    CHECK(server.counts().multiplications ==
          predict_cost(*world.model, key_bits, {.sign_test = sign_test}).multiplications);
  }
}

TEST_CASE("a damaged message in pieces is refused as in one, and the session goes on", "[pieces]") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  for (std::uint64_t seed = 21; seed <= 26; ++seed) {
    CAPTURE(sign_test, seed);
    World world(seed, sign_test);
    ServerSession server(world.model, world.keys.context, world.options);
    ClientSession client(world.model->bundle(), world.keys.owner, world.input, world.options);
    const auto damaged = [&](ByteView good) {
      Bytes bytes(good.begin(), good.end());
      const auto place = [&](std::size_t below) {
        return static_cast<std::size_t>(world.rng.between(0, static_cast<std::int64_t>(below) - 1));
      };
      switch (world.rng.between(0, 2)) {
        case 0:
          bytes.resize(place(bytes.size()));
          break;
        case 1:
          bytes.insert(bytes.end(), 1 + place(600), 0);
          break;
        default:
          bytes[place(kMessagePrefixBytes)] ^= static_cast<std::uint8_t>(world.rng.between(1, 255));
      }
      return bytes;
    };
    const auto compare = [&](auto& session, ByteView good) {
      for (int i = 0; i < 4; ++i) {
        const Bytes bad = damaged(good);
        const std::string whole = error_of([&] { session.handle(bad); });
        CHECK(!whole.empty());
        CHECK(error_of([&] { handle_in_pieces(session, bad, world.rng); }) == whole);
      }
    };
    for (std::optional<ByteView> message = client.start(); message;) {
      compare(server, *message);
      const Bytes reply = handle_in_pieces(server, *message, world.rng);
      compare(client, reply);
      message = handle_in_pieces(client, reply, world.rng);
    }
    CHECK(client.logits() == models::evaluate(world.model->network(), world.input));
  }
}

TEST_CASE("an invalid ciphertext in any piece is named by its place in the message", "[pieces]") {
  World world(31, "blinded");
  ServerSession server(world.model, world.keys.context, world.options);
  ClientSession client(world.model->bundle(), world.keys.owner, world.input, world.options);
  const Bytes good = client.start();
  const std::size_t width = world.keys.ciphertext_bytes();
  for (std::size_t place = 0; place < world.input.size(); ++place) {
    Bytes bad = good;
    std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(kMessagePrefixBytes + place * width), width,
                std::uint8_t{0});
    MessageIntake intake(server.key(), bad.size());
    for (const ByteView piece : random_pieces(world.rng, bad)) intake.take(piece);
    CHECK_THROWS_WITH(server.handle(intake), Catch::Contains("ciphertext " + std::to_string(place) + " is"));
  }
  CHECK_FALSE(server.handle(good).empty());
}

TEST_CASE("an answer that is cut off is begun again", "[pieces]") {
  World world(41, "oblivious");
  ServerSession server(world.model, world.keys.context, world.options);
  ClientSession client(world.model->bundle(), world.keys.owner, world.input, world.options);
  for (std::optional<ByteView> message = client.start(); message;) {
    const Bytes reply = server.handle(*message);
    client.begin_answer();
    client.take_answer(ByteView(reply).first(reply.size() / 2));
    CHECK(error_of([&] { client.finish_answer(); }) == "message.truncated");
    CHECK_THROWS_AS(client.take_answer(reply), Error);
    message = handle_in_pieces(client, reply, world.rng);
  }
  CHECK(client.logits() == models::evaluate(world.model->network(), world.input));
}

TEST_CASE("ciphertexts are ready before the message is complete", "[pieces]") {
  World world(51, "blinded");
  ServerSession server(world.model, world.keys.context, world.options);
  ClientSession client(world.model->bundle(), world.keys.owner, world.input, world.options);
  const Bytes message = client.start();
  MessageIntake intake(server.key(), message.size());
  std::uint64_t before = 0;
  for (const std::uint8_t& byte : message) {
    CHECK(intake.ciphertexts() >= before);
    before = intake.ciphertexts();
    intake.take({&byte, 1});
  }
  CHECK(intake.ciphertexts() == world.input.size());
  const std::size_t group = paillier::Evaluator(server.key()).group_size();
  CHECK(before == (world.input.size() - 1) / group * group);
}

}  // namespace
}  // namespace popcorn::protocols
