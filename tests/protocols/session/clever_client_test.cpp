// Parties that do not follow the oblivious transfers' protocol, but cleverly: what they get, and how often
// they are caught. (Messages that are only damaged are the business of session_hostile_test.cpp.)
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/sign/sign_protocol.h"
#include "protocols/ot/failed_check.h"
#include "protocols/ot/sources/base_transfer.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/session/session.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using test::party;
using test::Party;

constexpr std::size_t kSeedBytes = sizeof(ot::Block);
constexpr std::size_t kSeedsAt = 18;  ///< in a kept set-up: version, side, 16 bytes of name

models::IntegerNetwork network_with_comparison(test::SeededRng& rng) {
  test::RandomNetworkOptions options;
  options.max_extent = 3;
  options.max_channels = 2;
  for (;;) {
    models::IntegerNetwork network = test::random_network(rng, options);
    if (!plan_steps(network).empty()) return network;
  }
}

/// A session that resumes a set-up whose transfers were made as they should, and a client that may have put
/// other seeds in the place of those that the server did not choose: the poisoned seed of the attack on the
/// former base transfers, in the only place that is left for it.
struct Trial {
  Trial(const std::shared_ptr<const ServedModel>& model, const Party& keys, const WideVector& input,
        test::SeededRng& rng, std::size_t poisoned) {
    const ot::DealtBase base = ot::deal_base(rng);
    Bytes server_half(kSeedsAt + sizeof base.chosen, 3);
    Bytes client_half(kSeedsAt + sizeof base.offered, 3);
    server_half[1] = 1;
    client_half[1] = 2;
    Bytes name(kSeedsAt - 2);
    rng.fill(name);
    for (Bytes* half : {&server_half, &client_half}) std::ranges::copy(name, half->begin() + 2);
    std::memcpy(server_half.data() + kSeedsAt, &base.chosen, sizeof base.chosen);
    std::memcpy(client_half.data() + kSeedsAt, &base.offered, sizeof base.offered);
    // The first choice is always 0, the others are coins.
    constexpr std::size_t kCoins = ot::kBaseTransfers - 1;
    const std::size_t start = rng.below(kCoins);
    for (std::size_t k = 0; k < poisoned; ++k) {
      const std::size_t i = 1 + (start + 91 * k) % kCoins;  // 127 is prime: all different
      client_half[kSeedsAt + (2 * i + 1) * kSeedBytes] ^= 1;
      guess_is_right = guess_is_right && base.chosen.choices[i] == 0;
    }
    SessionOptions options;
    options.sign_test = "oblivious";
    options.transfer_set_up = ot::server_set_up(server_half);
    server = std::make_unique<ServerSession>(model, keys.context, options);
    options.transfer_set_up = ot::client_set_up(client_half);
    client = std::make_unique<ClientSession>(model->bundle(), keys.owner, input, options);
    const Bytes question = server->handle(client->start());
    const std::optional<ByteView> next = client->handle(question);
    REQUIRE(next);
    request.assign(next->begin(), next->end());
  }

  bool guess_is_right = true;  ///< that the server chose seed 0 wherever seed 1 is poisoned
  std::unique_ptr<ServerSession> server;
  std::unique_ptr<ClientSession> client;
  Bytes request;
};

}  // namespace

TEST_CASE("a poisoned seed tells its bit only to a client that stakes the set-up on it", "[clever]") {
  test::SeededRng rng(91);
  const auto model = ServedModel::create(network_with_comparison(rng));
  const Party& keys = party(test::fitting_key_bits(model->network()));
  const WideVector input = test::random_input(rng, model->network());
  for (const std::size_t poisoned : {0U, 1U, 2U, 4U, 8U, 127U}) {
    constexpr unsigned kTrials = 200;
    unsigned caught = 0;
    for (unsigned t = 0; t < kTrials; ++t) {
      Trial trial(model, keys, input, rng, poisoned);
      try {
        trial.server->handle(trial.request);
        REQUIRE(trial.guess_is_right);
        continue;
      } catch (const ot::FailedCheck& error) {
        REQUIRE(error.code() == "ot.check");
        REQUIRE_FALSE(trial.guess_is_right);
        ++caught;
      }
      // Nothing more is answered, nor left for a store: a second question would be a second bit.
      REQUIRE_THROWS_AS(trial.server->handle(trial.request), ot::FailedCheck);
      REQUIRE_THROWS_AS(trial.server->save(), Error);
      REQUIRE_FALSE(trial.server->transfer_set_up());
    }
    CAPTURE(poisoned, caught);
    const double expected = kTrials * (1 - std::pow(0.5, static_cast<double>(poisoned)));
    const double deviation = std::sqrt(expected * std::pow(0.5, static_cast<double>(poisoned)));
    REQUIRE(std::abs(caught - expected) <= 5 * deviation + 0.5);
  }
}

TEST_CASE("a server whose trees or requests are not what they should be is caught by the client",
          "[clever]") {
  // The transfers of the server's own requests: the client is their sender and has the secret Δ. A damaged
  // byte of the trees' sums decides nothing where the client's seed is that of the other side.
  test::SeededRng rng(94);
  const models::IntegerNetwork network = network_with_comparison(rng);
  const auto model = ServedModel::create(network);
  const Party& keys = party(test::fitting_key_bits(network));
  const WideVector input = test::random_input(rng, network);
  const WideVector expected = models::evaluate_all(network, input).back();
  const RoundPlan plan(model->bundle(), sign_test_named("oblivious"), keys.owner->public_key().bits());
  const auto section = static_cast<std::size_t>(plan.server_message(1).sign_test_bytes);
  constexpr std::size_t kNonceBytes = 16;
  constexpr unsigned kTrials = 120;
  unsigned caught = 0;
  for (unsigned t = 0; t < kTrials; ++t) {
    SessionOptions options;
    options.sign_test = "oblivious";
    ServerSession server(model, keys.context, options);
    ClientSession client(model->bundle(), keys.owner, input, options);
    std::optional<ByteView> message = client.handle(server.handle(client.start()));
    Bytes question = server.handle(*message);
    question[question.size() - section + kNonceBytes + rng.below(ot::softspoken::set_up_bytes())] ^=
        static_cast<std::uint8_t>(1U << rng.below(8));
    try {
      message = client.handle(question);
    } catch (const ot::FailedCheck& error) {
      REQUIRE(error.code() == "ot.check");
      ++caught;
      REQUIRE_THROWS_AS(client.handle(question), ot::FailedCheck);
      REQUIRE_THROWS_AS(client.save(), Error);
      REQUIRE_FALSE(client.transfer_set_up());
      continue;
    }
    while (message) message = client.handle(server.handle(*message));
    REQUIRE(client.logits() == expected);
  }
  // 1,024 of the 5,120 bytes are tags, which always tell; of the sums one in two.
  constexpr double kExpected = kTrials * 0.6;
  CAPTURE(caught);
  REQUIRE(std::abs(caught - kExpected) < 5 * std::sqrt(kExpected * 0.4));
}

TEST_CASE("the base transfers' owner cannot tell which elements were chosen", "[clever]") {
  // The best that is left of the attack on the former ones: whatever it computes of the reply, both sides
  // look the same. Four guesses for each bit, each right as often as a coin.
  test::SeededRng rng(92);
  constexpr unsigned kSetUps = 20;
  std::array<unsigned, 4> right{};
  for (unsigned t = 0; t < kSetUps; ++t) {
    Bytes nonce(16);
    rng.fill(nonce);
    const ot::BaseOwner owner(rng);
    Bytes request;
    owner.request(request);
    Bytes reply;
    const ot::ChosenSeeds server = ot::BaseChooser(request).reply(nonce, rng, reply);
    const ot::OfferedSeeds seeds = owner.finish(nonce, reply);
    for (std::size_t i = 0; i < ot::kBaseTransfers; ++i) {
      const std::uint8_t* const elements = reply.data() + i * 2 * ot::kPointBytes;
      const std::uint8_t* const second = elements + ot::kPointBytes;
      const auto ones = [](const std::uint8_t* bytes) {
        unsigned count = 0;
        for (std::size_t b = 0; b < ot::kPointBytes; ++b)
          count += static_cast<unsigned>(__builtin_popcount(bytes[b]));
        return count;
      };
      const std::array<bool, 4> guesses = {
          std::memcmp(elements, second, ot::kPointBytes) < 0, ones(elements) < ones(second),
          ((elements[0] ^ second[0]) & 2U) != 0, seeds.pairs[i][0].low < seeds.pairs[i][1].low};
      for (std::size_t g = 0; g < guesses.size(); ++g)
        right[g] += guesses[g] == (server.choices[i] == 1) ? 1 : 0;
    }
  }
  constexpr double kBits = kSetUps * ot::kBaseTransfers;
  for (const unsigned count : right) {
    CAPTURE(count);
    REQUIRE(std::abs(count - kBits / 2) < 5 * std::sqrt(kBits) / 2);
  }
}

TEST_CASE("a chooser that mixes replies of its own never has both seeds", "[clever]") {
  // Element by element taken from two replies to one request: what it knows of each pair is at most one seed,
  // and where its elements do not belong together none, since each key depends on both and on the whole
  // reply.
  test::SeededRng rng(93);
  const Bytes nonce(16, 7);
  unsigned both = 0;
  for (unsigned t = 0; t < 10; ++t) {
    const ot::BaseOwner owner(rng);
    Bytes request;
    owner.request(request);
    const ot::BaseChooser chooser(request);
    std::array<Bytes, 2> replies;
    std::array<ot::ChosenSeeds, 2> known;
    for (std::size_t k = 0; k < 2; ++k) known[k] = chooser.reply(nonce, rng, replies[k]);
    Bytes mixed = replies[0];
    for (std::size_t i = 0; i < ot::kBaseTransfers; ++i) {
      // The chosen element of the second reply in the place of the drawn one of the first.
      const std::size_t side = 1U - known[0].choices[i];
      if (known[1].choices[i] != side) continue;
      const auto at = static_cast<std::ptrdiff_t>((2 * i + side) * ot::kPointBytes);
      std::copy_n(replies[1].begin() + at, ot::kPointBytes, mixed.begin() + at);
    }
    const ot::OfferedSeeds seeds = owner.finish(nonce, mixed);
    for (std::size_t i = 0; i < ot::kBaseTransfers; ++i) {
      unsigned seen = 0;
      for (const auto& seed : seeds.pairs[i])
        seen += seed == known[0].seeds[i] || seed == known[1].seeds[i] ? 1 : 0;
      both += seen == 2 ? 1 : 0;
    }
  }
  REQUIRE(both == 0);
}

}  // namespace popcorn::protocols
