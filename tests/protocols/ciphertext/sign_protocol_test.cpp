#include "protocols/ciphertext/sign/sign_protocol.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "protocols/ciphertext/sign/blinded_sign_protocol.h"
#include "protocols/plan/steps.h"
#include "tests/protocols/parties.h"

namespace popcorn::protocols {
namespace {

using test::party;

struct Bits {
  std::vector<std::uint8_t> beta, flips;
};

/// Runs a sign test alone on encrypted values.
Bits run_sign_test(const SignTest& test, const test::Party& keys, const WideVector& x, unsigned bits,
                   Rng& rng) {
  const paillier::Evaluator evaluator(keys.context, rng);
  const paillier::CiphertextBatch batch = keys.encrypt(evaluator, x);
  const SignTestShape shape{x.size(), bits, keys.owner->public_key().bits()};
  const auto server = test.server(evaluator, rng);
  const auto client = test.client(*keys.owner, rng);
  server->begin(shape);
  client->begin(shape);
  const WideVector none;
  for (unsigned exchange = 0; exchange < test.exchanges(bits); ++exchange) {
    Bytes question;
    server->question(exchange, {batch, none}, question);
    REQUIRE(question.size() == test.question_bytes(shape, exchange));
    client->question(exchange, none, question);
    Bytes answer;
    client->answer(exchange, answer);
    REQUIRE(answer.size() == test.answer_bytes(shape, exchange));
    server->answer(exchange, answer);
  }
  const auto beta = client->bits();
  const auto flips = server->flips();
  return {{beta.begin(), beta.end()}, {flips.begin(), flips.end()}};
}

void check_signs(const WideVector& x, const Bits& bits) {
  REQUIRE(bits.beta.size() == x.size());
  REQUIRE(bits.flips.size() == x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i, x.to_decimal(i));
    REQUIRE(bits.beta[i] <= 1);
    REQUIRE(bits.flips[i] <= 1);
    REQUIRE((bits.beta[i] ^ bits.flips[i]) == (x.is_negative(i) ? 0 : 1));
  }
}

TEST_CASE("the blinded sign test is exact on every value of small widths") {
  test::SeededRng rng(71);
  for (const unsigned bits : {1U, 2U, 3U, 4U, 7U}) {
    const std::int64_t bound = std::int64_t{1} << bits;
    std::vector<std::int64_t> values;
    for (std::int64_t x = -bound + 1; x < bound; ++x) {
      for (int repeat = 0; repeat < 4; ++repeat) values.push_back(x);  // with several blinding factors each
    }
    const WideVector x = WideVector::from_int64(values);
    check_signs(x, run_sign_test(blinded_sign_test(), party(256), x, bits, rng));
  }
}

TEST_CASE("the blinded sign test is exact at the boundaries of large widths") {
  test::SeededRng rng(72);
  for (const unsigned bits : {31U, 63U, 64U, 65U, 100U, 125U}) {
    WideVector x(60, WideVector::limbs_for_bits(bits));
    for (std::size_t i = 0; i < x.size(); ++i) {
      switch (i % 6) {
        case 0:
        case 1:
        case 2:
          x.set_int64(i, static_cast<std::int64_t>(i % 6) - 1);
          break;
        default:  // ±(2^bits − 1) and a random value
          for (std::uint64_t& word : x[i]) word = i % 6 == 5 ? rng.next_u64() : ~std::uint64_t{0};
          x[i][bits / 64] &= (std::uint64_t{1} << (bits % 64)) - 1;
          if (i % 6 == 4) {  // negate 2^bits − 1: its complement plus one
            for (std::uint64_t& word : x[i]) word = ~word;
            x[i][0] += 1;
          }
      }
    }
    CHECK(x.max_bit_length() == bits);
    check_signs(x, run_sign_test(blinded_sign_test(), party(256), x, bits, rng));
  }
}

TEST_CASE("flips are uniform and the client's bit says nothing without them") {
  test::SeededRng rng(73);
  const WideVector x = WideVector::from_int64(std::vector<std::int64_t>(2000, 3));
  const Bits bits = run_sign_test(blinded_sign_test(), party(256), x, 4, rng);
  const auto ones = [](const std::vector<std::uint8_t>& b) {
    return std::count(b.begin(), b.end(), std::uint8_t{1});
  };
  CHECK(std::abs(ones(bits.flips) - 1000) < 110);  // five standard deviations
  CHECK(std::abs(ones(bits.beta) - 1000) < 110);
}

TEST_CASE("blinding factors are log-uniform") {
  test::SeededRng rng(74);
  constexpr int kDraws = 128 * 400;
  std::array<double, 128> octaves{};
  std::array<double, 16> fractions{};  // of log2 τ, for large τ
  double large = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Blind factor = draw_blinding_factor(rng);
    REQUIRE(factor > 0);
    const double log = std::log2(static_cast<double>(factor));
    ++octaves[static_cast<std::size_t>(std::min(127.0, log))];
    if (log < 20) continue;
    ++fractions[static_cast<std::size_t>((log - std::floor(log)) * 16)];
    ++large;
  }
  double chi_square = 0;
  for (const double count : octaves) chi_square += (count - 400) * (count - 400) / 400;
  CHECK(chi_square < 215);  // 127 degrees of freedom: beyond 215 once in 600,000
  chi_square = 0;
  for (const double count : fractions)
    chi_square += (count - large / 16) * (count - large / 16) / (large / 16);
  CHECK(chi_square <
        50);  // 15 degrees of freedom: beyond 50 once in 80,000; a uniform τ in its octave gives thousands
}

TEST_CASE("noise is uniform below its bound") {
  test::SeededRng rng(75);
  for (const unsigned shift : {0U, 61U, 120U}) {
    const Blind bound = Blind{10} << shift;
    std::array<int, 10> counts{};
    for (int i = 0; i < 10000; ++i) {
      const Blind value = draw_below(rng, bound);
      REQUIRE(value < bound);
      ++counts[static_cast<std::size_t>(value / (bound / 10))];
    }
    for (const int count : counts) CHECK(std::abs(count - 1000) < 150);
  }
  CHECK(draw_below(rng, 1) == 0);
}

TEST_CASE("sign tests are found by name") {
  CHECK(&sign_test_named("blinded") == &blinded_sign_test());
  CHECK(sign_test_names().front() == "oblivious");
  CHECK_THROWS_AS(sign_test_named("telepathic"), RefusedError);
}

}  // namespace
}  // namespace popcorn::protocols
