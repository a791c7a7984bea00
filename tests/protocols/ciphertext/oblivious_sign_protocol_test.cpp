// The oblivious sign test: exact everywhere, and a client's view that says nothing about x.
#include "protocols/ciphertext/sign/oblivious_sign_protocol.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "protocols/ciphertext/sign/comparison.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/ot/steps/local_parties.h"
#include "protocols/ot/steps/transfer_session.h"
#include "protocols/session/session.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using test::party;

struct Result {
  std::vector<std::uint8_t> beta, flips;
  WideVector shares;
  std::vector<Bytes> questions;
};

/// Both parties with shares, as in a step. `set_up` done reuses `states`.
struct Pair {
  std::shared_ptr<const ot::KeptSetUp> server, client;
};

Result run(const test::Party& keys, const WideVector& x, unsigned bits, Rng& rng, Pair& states) {
  const SignTest& test = oblivious_sign_test();
  const paillier::Evaluator evaluator(keys.context, rng);
  const paillier::CiphertextBatch batch = keys.encrypt(evaluator, x);
  const unsigned key_bits = keys.owner->public_key().bits();
  const ot::SetUp set_up = test.set_up(states.server != nullptr);
  const SignTestShape shape{x.size(), bits, key_bits, set_up};
  const auto server = test.server(evaluator, rng, states.server);
  const auto client = test.client(*keys.owner, rng, states.client);
  Bytes request;
  client->request(request);
  REQUIRE(request.size() == test.request_bytes(key_bits, set_up));
  server->request(request);
  Bytes sealed;
  const WideVector masks = seal_shares(evaluator, batch, bits, rng, sealed);
  Result result;
  result.shares = open_shares(*keys.owner, sealed, x.size(), bits);
  server->begin(shape);
  client->begin(shape);
  for (unsigned exchange = 0; exchange < test.exchanges(bits); ++exchange) {
    Bytes question;
    server->question(exchange, {batch, masks}, question);
    REQUIRE(question.size() == test.question_bytes(shape, exchange));
    client->question(exchange, result.shares, question);
    result.questions.push_back(question);
    Bytes answer;
    client->answer(exchange, answer);
    REQUIRE(answer.size() == test.answer_bytes(shape, exchange));
    server->answer(exchange, answer);
  }
  states = {server->state(), client->state()};
  result.beta.assign(client->bits().begin(), client->bits().end());
  result.flips.assign(server->flips().begin(), server->flips().end());
  return result;
}

void check_signs(const WideVector& x, const Result& result) {
  REQUIRE(result.beta.size() == x.size());
  REQUIRE(result.flips.size() == x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i, x.to_decimal(i));
    REQUIRE(result.beta[i] <= 1);
    REQUIRE(result.flips[i] <= 1);
    REQUIRE((result.beta[i] ^ result.flips[i]) == (x.is_negative(i) ? 0 : 1));
  }
}

/// Both halves of [x < y] for all pairs, and what they sent.
struct Compared {
  std::vector<std::uint8_t> client, server;
  std::vector<std::size_t> bytes;  ///< of each flight
};

Compared compare(const WideVector& x, const WideVector& y, unsigned bits, Rng& rng) {
  ot::DealtBase base = ot::deal_base(rng);
  const ComparisonPlan plan(bits);
  std::array<Comparison, 2> halves = {Comparison(Comparison::Party::client, bits, x),
                                      Comparison(Comparison::Party::server, bits, y)};
  std::array<ot::TransferSession, 2> transfers = {ot::TransferSession(base.offered, as_bytes("session")),
                                                  ot::TransferSession(base.chosen, as_bytes("session"))};
  Compared result;
  for (unsigned flight = 0; flight < plan.flights(); ++flight) {
    const std::size_t maker = flight % 2;
    Bytes message;
    halves[maker].take(flight, transfers[maker].answer(halves[maker].tables(flight), rng, message));
    transfers[maker].request(halves[maker].choices(flight), message);
    const auto set_up = flight == 0   ? ot::FlightSetUp::of_client
                        : flight == 1 ? ot::FlightSetUp::of_server
                                      : ot::FlightSetUp::none;
    REQUIRE(message.size() ==
            ot::flight_bytes(set_up, plan.answers(x.size(), flight), plan.requests(x.size(), flight)));
    result.bytes.push_back(message.size());
    halves[1 - maker].take(flight, transfers[1 - maker].take(message, plan.requests(x.size(), flight)));
  }
  result.client = halves[0].less();
  result.server = halves[1].less();
  return result;
}

TEST_CASE("the comparison is exact on every pair of small integers", "[oblivious]") {
  test::SeededRng rng(61);
  for (unsigned bits = 1; bits <= 6; ++bits) {
    const std::size_t side = std::size_t{1} << bits;
    WideVector x(side * side, 1);
    WideVector y(side * side, 1);
    for (std::size_t i = 0; i < side * side; ++i) {
      x.set_int64(i, static_cast<std::int64_t>(i / side));
      y.set_int64(i, static_cast<std::int64_t>(i % side));
    }
    const Compared result = compare(x, y, bits, rng);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CAPTURE(bits, i / side, i % side);
      REQUIRE((result.client[i] ^ result.server[i]) == (i / side < i % side ? 1 : 0));
    }
  }
}

TEST_CASE("the comparison is exact at every width, on values that differ in one bit or none", "[oblivious]") {
  test::SeededRng rng(67);
  bool saw_chain = false;
  bool saw_tree = false;
  for (unsigned bits = 1; bits <= 200; bits += bits < 48 ? 1 : 19) {
    const ComparisonPlan plan(bits);
    (plan.is_chain() ? saw_chain : saw_tree) = true;
    const std::size_t count = 4 * std::size_t{bits};
    WideVector x(count, WideVector::limbs_for_bits(bits));
    WideVector y = x;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t k = 0; k < x.limbs(); ++k) x[i][k] = rng.next_u64();
      for (std::size_t k = 0; k < x.limbs(); ++k) y[i][k] = i % 4 == 3 ? rng.next_u64() : x[i][k];
      if (i % 4 != 0) y[i][i / 4 / 64] ^= std::uint64_t{1} << (i / 4 % 64);
      for (WideVector* values : {&x, &y}) {
        for (std::size_t k = bits; k < 64 * x.limbs(); ++k)
          (*values)[i][k / 64] &= ~(std::uint64_t{1} << (k % 64));
      }
    }
    const Compared result = compare(x, y, bits, rng);
    std::size_t ones = 0;
    for (std::size_t i = 0; i < count; ++i) {
      CAPTURE(bits, i);
      REQUIRE((result.client[i] ^ result.server[i]) == (WideVector::compare(x, i, y, i) < 0 ? 1 : 0));
      ones += result.client[i];
    }
    // A share alone is a coin: within six standard deviations.
    REQUIRE(std::abs(static_cast<double>(ones) - static_cast<double>(count) / 2) <
            3 * std::sqrt(static_cast<double>(count)) + 1);
  }
  REQUIRE(saw_chain);
  REQUIRE(saw_tree);
}

TEST_CASE("the plan of a comparison has the fewest exchanges, then the fewest bits", "[oblivious]") {
  for (unsigned bits = 1; bits <= 260; ++bits) {
    const ComparisonPlan plan(bits);
    unsigned length = 0;
    for (const unsigned digit : plan.digits()) length += digit;
    REQUIRE(length == bits);
    CAPTURE(bits, plan.is_chain(), plan.exchanges(), plan.bits());
    // A tree's: 2 + ⌈log2 ⌈ℓ/4⌉⌉; a chain's: 1 + ⌈ℓ/8⌉.
    unsigned levels = 0;
    while ((4U << levels) < bits) ++levels;
    const unsigned of_chain = 1 + (bits + 7) / 8;
    REQUIRE(plan.exchanges() == std::min(2 + levels, of_chain));
    REQUIRE(plan.bits() <= 34 * bits + 16);
    if (bits <= 40) REQUIRE(plan.is_chain());
    if (bits > 48) REQUIRE_FALSE(plan.is_chain());
  }
}

TEST_CASE("the oblivious sign test is exact on every value of small widths", "[oblivious]") {
  test::SeededRng rng(62);
  Pair states;
  for (unsigned bits = 1; bits <= 9; ++bits) {
    const std::int64_t bound = (std::int64_t{1} << bits) - 1;
    std::vector<std::int64_t> values;
    for (std::int64_t x = -bound; x <= bound; ++x) values.push_back(x);
    const WideVector x = WideVector::from_int64(values);
    check_signs(x, run(party(512), x, bits, rng, states));
  }
}

TEST_CASE("the oblivious sign test is exact at the boundaries of large widths", "[oblivious]") {
  test::SeededRng rng(63);
  Pair states;
  for (const unsigned bits : {16U, 31U, 32U, 33U, 61U, 62U, 63U, 64U, 65U, 127U, 128U, 200U}) {
    const std::size_t limbs = WideVector::limbs_for_bits(bits);
    WideVector x(12, limbs);
    x.set_int64(1, 1);
    x.set_int64(2, -1);
    for (std::size_t i = 3; i < x.size(); ++i) {  // ±(2^bits − 1), ±2^(bits − 1) and random values
      for (std::size_t k = 0; k < limbs; ++k) x[i][k] = i < 5 ? ~std::uint64_t{0} : rng.next_u64();
      x[i][bits / 64] &= (std::uint64_t{1} << (bits % 64)) - 1;
      for (std::size_t k = bits / 64 + 1; k < limbs; ++k) x[i][k] = 0;
      if (i == 4 || i % 2 == 0) {
        std::uint64_t carry = 1;
        for (auto& word : x[i]) {
          word = ~word + carry;
          carry = (carry != 0 && word == 0) ? 1 : 0;
        }
      }
    }
    check_signs(x, run(party(512), x, bits, rng, states));
  }
}

TEST_CASE("a kept state is used by later sessions and only with its own kind", "[oblivious]") {
  test::SeededRng rng(64);
  Pair states;
  const WideVector x = WideVector::from_int64(std::vector<std::int64_t>{-3, 0, 3});
  run(party(512), x, 4, rng, states);
  REQUIRE(states.server != nullptr);
  REQUIRE(to_hex(states.server->id()) == to_hex(states.client->id()));
  const Pair first = states;
  const Result again = run(party(512), x, 4, rng, states);
  check_signs(x, again);
  REQUIRE(again.questions.front().size() == 16);  // the nonce alone
  const paillier::Evaluator evaluator(party(512).context, rng);
  REQUIRE_THROWS_AS(oblivious_sign_test().server(evaluator, rng, first.client), Error);
}

TEST_CASE("what the client sees is uniform whatever x is", "[oblivious]") {
  // The client's view of a neuron: c, and its own bit β. For x at the extremes of the range and at 0 the bits
  // β must be balanced and the top byte of the mask's range uniform (chi-square with 15 degrees of freedom:
  // above 50 with probability 10⁻⁵).
  test::SeededRng rng(65);
  Pair states;
  constexpr unsigned kBits = 12;
  constexpr std::size_t kCount = 3000;
  for (const std::int64_t value : {-4095, -1, 0, 1, 4095}) {
    const WideVector x = WideVector::from_int64(std::vector<std::int64_t>(kCount, value));
    const Result result = run(party(512), x, kBits, rng, states);
    check_signs(x, result);
    double ones = 0;
    std::array<double, 16> top{};
    for (std::size_t i = 0; i < kCount; ++i) {
      ones += result.beta[i];
      const unsigned shift = mask_bits(kBits) - 4;
      top[std::min<std::uint64_t>(15, result.shares[i][0] >> shift)] += 1;
    }
    CAPTURE(value);
    REQUIRE(std::abs(ones - kCount / 2.0) < 5 * std::sqrt(kCount) / 2);
    double chi_square = 0;
    for (const double count : top)
      chi_square += (count - kCount / 16.0) * (count - kCount / 16.0) / (kCount / 16.0);
    REQUIRE(chi_square < 50);
  }
}

TEST_CASE("both sign tests give the plaintext network's answer on random networks", "[oblivious]") {
  test::SeededRng rng(66);
  for (int round = 0; round < 8; ++round) {
    const models::IntegerNetwork network = test::random_network(rng);
    const WideVector input = test::random_input(rng, network);
    const std::vector<WideVector> expected = models::evaluate_all(network, input);
    const auto model = ServedModel::create(network, round % 2 == 0 ? kDefaultChunk : 5);
    for (const char* name : {"oblivious", "blinded"}) {
      CAPTURE(round, name);
      SessionOptions options;
      options.sign_test = name;
      const test::Transcript transcript =
          test::run_inference(model, party(test::fitting_key_bits(network)), input, rng, options);
      for (std::size_t node = 0; node < expected.size(); ++node)
        REQUIRE(transcript.tensors[node] == expected[node]);
    }
  }
}

}  // namespace
}  // namespace popcorn::protocols
