// Messages out of order, repeated, damaged or foreign: an error that says what was expected, and the session
// goes on.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ot/failed_check.h"
#include "protocols/session/session.h"
#include "protocols/wire/message.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using test::party;
using test::Party;

/// A network with ReLU, max-pool and sign steps.
models::IntegerNetwork stepped_network(test::SeededRng& rng) {
  test::RandomNetworkOptions options;
  options.max_extent = 4;
  options.max_channels = 2;
  for (;;) {
    models::IntegerNetwork network = test::random_network(rng, options);
    bool relu = false;
    bool max_pool = false;
    bool sign = false;
    for (const Step& step : plan_steps(network)) {
      relu = relu || step.kind == StepKind::relu;
      max_pool = max_pool || step.kind == StepKind::max_pool;
      sign = sign || step.kind == StepKind::sign;
    }
    if (relu && max_pool && sign) return network;
  }
}

template <typename Session>
std::string error_of(Session& session, ByteView message) {
  try {
    session.handle(message);
  } catch (const InputError& error) {
    return error.code();
  }
  return "";
}

struct Fixture {
  /// By default with the blinded test: its messages hold ciphertexts throughout.
  explicit Fixture(std::uint64_t seed, const std::string& sign_test = "blinded")
      : rng(seed),
        model(ServedModel::create(stepped_network(rng))),
        keys(party(test::fitting_key_bits(model->network()))),
        input(test::random_input(rng, model->network())),
        server(model, keys.context, options(sign_test)),
        client(model->bundle(), keys.owner, input, options(sign_test)) {}

  static SessionOptions options(const std::string& sign_test) {
    SessionOptions chosen;
    chosen.sign_test = sign_test;
    return chosen;
  }

  WideVector expected() const { return models::evaluate(model->network(), input); }

  test::SeededRng rng;
  std::shared_ptr<const ServedModel> model;
  const Party& keys;
  WideVector input;
  ServerSession server;
  ClientSession client;
};

TEST_CASE("a wrong message leaves both sessions as they were, in every round") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  CAPTURE(sign_test);
  Fixture f(41, sign_test);
  std::vector<Bytes> up, down;
  up.push_back(f.client.start());
  for (;;) {
    const std::uint64_t round = f.server.next_round();
    const Bytes& message = up.back();
    // To the server: the message before, a later one, its own last reply, cut, extended, damaged.
    if (round > 0) {
      CHECK(error_of(f.server, up[round - 1]) == "round.repeated");
      CHECK(error_of(f.server, up[0]) == "round.repeated");
      CHECK(error_of(f.server, down.back()) == "round.out_of_order");  // a question for the same step
    }
    Bytes later = message;
    later[16] = static_cast<std::uint8_t>(later[16] + 1);  // the step
    later[5] = static_cast<std::uint8_t>(MessageKind::answer);
    CHECK(error_of(f.server, later) == "round.out_of_order");
    CHECK(error_of(f.server, ByteView(message).first(message.size() - 1)) == "message.truncated");
    Bytes longer = message;
    longer.push_back(0);
    CHECK(error_of(f.server, longer) == "message.trailing_bytes");
    Bytes foreign = message;
    foreign[24] ^= 1;  // the fingerprint
    CHECK(error_of(f.server, foreign) == "message.foreign_key");
    CHECK(f.server.next_round() == round);

    const Bytes reply = f.server.handle(message);
    CHECK(error_of(f.client, message).starts_with("round."));
    CHECK(error_of(f.client, ByteView(reply).first(reply.size() - 1)) == "message.truncated");
    if (!down.empty()) CHECK(error_of(f.client, down.back()) == "round.repeated");
    CHECK(f.client.round() == round);
    down.push_back(reply);
    const std::optional<ByteView> next = f.client.handle(reply);
    if (!next) break;
    up.emplace_back(next->begin(), next->end());
  }
  CHECK(f.client.logits() == f.expected());
  CHECK(error_of(f.server, up.back()) == "round.finished");
  CHECK(error_of(f.client, down.back()) == "round.finished");
}

TEST_CASE("an error names the step that is expected") {
  Fixture f(42);
  const Bytes first = f.client.start();
  const Bytes question = f.server.handle(first);
  try {
    f.server.handle(first);
    FAIL("the repeated input was accepted");
  } catch (const InputError& error) {
    CHECK_THAT(error.what(), Catch::Contains("answer of step 0 (" + f.model->bundle().steps[0].name + ")"));
  }
}

TEST_CASE("ciphertexts outside Z*_N² are refused and the right message still goes through") {
  Fixture f(43);
  const std::size_t width = f.keys.ciphertext_bytes();
  const Bytes good = f.client.start();
  const auto with_ciphertext = [&](const Bytes& message, std::size_t index, ByteView value) {
    Bytes bytes = message;
    std::copy(value.begin(), value.end(),
              bytes.begin() + static_cast<std::ptrdiff_t>(kMessagePrefixBytes + index * width));
    return bytes;
  };
  const Bytes zero(width, 0);
  const Bytes ones(width, 0xff);
  Bytes multiple_of_n(width, 0);  // N itself: in range, but not coprime to N
  const ByteView n = f.keys.owner->public_key().modulus();
  std::copy(n.begin(), n.end(), multiple_of_n.end() - static_cast<std::ptrdiff_t>(n.size()));
  Bytes prime(width, 0);
  const ByteView p = f.keys.owner->private_key().p();
  std::copy(p.begin(), p.end(), prime.end() - static_cast<std::ptrdiff_t>(p.size()));
  for (const Bytes& bad : {zero, ones, multiple_of_n, prime}) {
    CHECK(error_of(f.server, with_ciphertext(good, 1, bad)) == "ciphertext.invalid");
    CHECK(f.server.next_round() == 0);
  }
  const Bytes question = f.server.handle(good);
  for (const Bytes& bad : {zero, ones, multiple_of_n, prime}) {
    CHECK(error_of(f.client, with_ciphertext(question, 0, bad)) == "ciphertext.invalid");
  }
  const std::optional<ByteView> answer = f.client.handle(question);
  REQUIRE(answer.has_value());
  const Bytes good_answer(answer->begin(), answer->end());
  CHECK(error_of(f.server, with_ciphertext(good_answer, 0, multiple_of_n)) == "ciphertext.invalid");
  CHECK_NOTHROW(f.server.handle(good_answer));
}

TEST_CASE("plaintexts that are no packing are refused by the client") {
  Fixture f(44);
  const Bytes question = f.server.handle(f.client.start());
  const Message parsed = parse_message(question);
  REQUIRE(parsed.ciphertexts.size() + parsed.sign_test.size() > 0);
  WideVector negative(1, 1);
  negative.set_int64(0, -1);
  Bytes encrypted;
  f.keys.owner->encrypt(negative, encrypted);
  Bytes bytes = question;
  std::copy(encrypted.begin(), encrypted.end(), bytes.begin() + kMessagePrefixBytes);
  CHECK(error_of(f.client, bytes) == "message.plaintext");
  // Refused once, nothing is answered any more: another try would be another question about the values.
  CHECK_THROWS_AS(f.client.handle(question), ot::FailedCheck);
  CHECK_THROWS_AS(f.client.save(), Error);
  CHECK_FALSE(f.client.transfer_set_up());
}

TEST_CASE("no truncation and no random damage crashes a session or moves it on by itself") {
  const std::string sign_test = GENERATE("blinded", "oblivious");
  CAPTURE(sign_test);
  Fixture f(45, sign_test);
  const Bytes good = f.client.start();
  for (std::size_t size = 0; size < good.size(); size += 1 + size / 100) {
    REQUIRE(error_of(f.server, ByteView(good).first(size)) == "message.truncated");
  }
  // Damage of the prefix only: damage of a ciphertext gives another valid one, as encryption is not
  // authenticated.
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = good;
    const std::size_t place = f.rng.below(kMessagePrefixBytes);
    const auto value = static_cast<std::uint8_t>(f.rng.next_u64());
    if (bytes[place] == value) continue;
    bytes[place] = value;
    REQUIRE_FALSE(error_of(f.server, bytes).empty());
    REQUIRE(f.server.next_round() == 0);
  }
  const Bytes question = f.server.handle(good);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = question;
    const std::size_t place = f.rng.below(kMessagePrefixBytes);
    const auto value = static_cast<std::uint8_t>(f.rng.next_u64());
    if (bytes[place] == value) continue;
    bytes[place] = value;
    REQUIRE_FALSE(error_of(f.client, bytes).empty());
    REQUIRE(f.client.round() == 0);
  }
  CHECK(f.client.handle(question).has_value());
}

TEST_CASE("damaged sections of answers never crash the server") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Fixture f(460 + seed % 3, seed % 2 == 0 ? "blinded" : "oblivious");
    test::SeededRng damage(seed);
    Bytes message = f.client.start();
    for (;;) {
      Bytes reply;
      try {
        reply = f.server.handle(message);
      } catch (const InputError&) {
        break;
      }
      std::optional<ByteView> next;
      try {
        next = f.client.handle(reply);
      } catch (
          const InputError&) {  // nonsense in, nonsense out: what comes back is no packing of small values
        break;
      }
      if (!next) break;
      message.assign(next->begin(), next->end());
      const std::size_t place = kMessagePrefixBytes + damage.below(message.size() - kMessagePrefixBytes);
      message[place] = static_cast<std::uint8_t>(damage.next_u64());
    }
    CHECK(f.server.next_round() >= 1);
  }
}

}  // namespace
}  // namespace popcorn::protocols
