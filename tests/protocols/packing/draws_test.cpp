#include "protocols/packing/draws.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>

#include "base/bytes.h"
#include "protocols/packing/wide_math.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols {
namespace {

TEST_CASE("drawn integers stay below their bound and reach every bit") {
  test::SeededRng rng(1);
  for (const unsigned bits : {1U, 7U, 63U, 64U, 65U, 127U, 128U, 200U}) {
    const WideVector values = draw_integers(rng, 400, bits);
    CAPTURE(bits);
    for (std::size_t i = 0; i < values.size(); ++i) REQUIRE_FALSE(values.is_negative(i));
    CHECK(values.max_bit_length() == bits);
    std::size_t ones = 0;  // of the lowest bit
    for (std::size_t i = 0; i < values.size(); ++i) ones += values[i][0] & 1;
    CHECK(ones > 140);
    CHECK(ones < 260);
  }
}

TEST_CASE("a buffered generator gives its source's bytes in order") {
  test::SeededRng source(2);
  Bytes expected(8192);
  test::SeededRng same(2);
  same.fill(std::span(expected).first(4096));
  same.fill(std::span(expected).last(4096));
  BufferedRng buffered(source);
  Bytes got;
  while (got.size() < expected.size()) {
    Bytes piece(std::min<std::size_t>(1 + got.size() % 37, expected.size() - got.size()));
    buffered.fill(piece);
    got.insert(got.end(), piece.begin(), piece.end());
  }
  CHECK(got == expected);
}

TEST_CASE("all permutations of four places are equally likely") {
  test::SeededRng rng(3);
  std::map<std::vector<std::uint32_t>, int> seen;
  constexpr int kDraws = 24 * 200;
  for (int i = 0; i < kDraws; ++i) ++seen[draw_permutation(rng, 4)];
  REQUIRE(seen.size() == 24);
  double chi_square = 0;
  for (const auto& [permutation, count] : seen) chi_square += (count - 200.0) * (count - 200.0) / 200.0;
  CHECK(chi_square < 60);  // 23 degrees of freedom: beyond 60 once in 30,000
}

TEST_CASE("an inverse permutation undoes the permutation") {
  test::SeededRng rng(4);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{100}}) {
    const std::vector<std::uint32_t> p = draw_permutation(rng, size);
    const std::vector<std::uint32_t> q = inverse_permutation(p);
    for (std::size_t i = 0; i < size; ++i) CHECK(q[p[i]] == i);
  }
}

TEST_CASE("powers of two are added and subtracted with their carries") {
  WideVector x(3, 3);
  WideVector expected(3, 3);
  const auto set = [](WideVector& values, std::initializer_list<const char*> decimals) {
    std::size_t i = 0;
    for (const char* decimal : decimals) values.set_decimal(i++, decimal);
  };
  set(x, {"-1", "18446744073709551615", "-340282366920938463463374607431768211456"});  // −1, 2^64 − 1, −2^128
  const WideVector before = x;
  add_power_of_two(x, 0);
  set(expected, {"0", "18446744073709551616", "-340282366920938463463374607431768211455"});
  CHECK(x == expected);
  add_power_of_two(x, 128);
  set(expected, {"340282366920938463463374607431768211456", "340282366920938463481821351505477763072", "1"});
  CHECK(x == expected);
  subtract_power_of_two(x, 128);
  subtract_power_of_two(x, 0);
  CHECK(x == before);
}

TEST_CASE("the bound of a difference is that of the widest channel") {
  const std::int64_t low[] = {-3, 0, -128};
  const std::int64_t high[] = {4, 0, 127};
  CHECK(difference_bits(WideVector::from_int64(low), WideVector::from_int64(high)) == 8);  // 255
  CHECK(difference_bits(WideVector::from_int64(std::array<std::int64_t, 1>{INT64_MIN}),
                        WideVector::from_int64(std::array<std::int64_t, 1>{INT64_MAX})) == 64);
}

TEST_CASE("masking keeps the chosen values and clears the others") {
  const std::int64_t values[] = {-5, 6, 7};
  WideVector x = WideVector::from_int64(values, 2);
  mask_inplace(x, std::array<std::uint8_t, 3>{1, 0, 1});
  const std::int64_t expected[] = {-5, 0, 7};
  CHECK(x == WideVector::from_int64(expected));
}

}  // namespace
}  // namespace popcorn::protocols
