#include "base/wide_vector.h"

#include <gmp.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;

namespace {

/// Decimal form by GMP, the independent reference.
std::string gmp_decimal(std::span<const std::uint64_t> words) {
  mpz_t value;
  mpz_t modulus;
  mpz_init(value);
  mpz_init(modulus);
  mpz_import(value, words.size(), -1, 8, 0, 0, words.data());
  if ((words.back() >> 63) != 0) {
    mpz_setbit(modulus, 64 * words.size());
    mpz_sub(value, value, modulus);
  }
  char* digits = mpz_get_str(nullptr, 10, value);
  std::string text = digits;
  void (*release)(void*, std::size_t) = nullptr;
  mp_get_memory_functions(nullptr, nullptr, &release);
  release(digits, text.size() + 1);
  mpz_clear(value);
  mpz_clear(modulus);
  return text;
}

}  // namespace

TEST_CASE("decimal text agrees with GMP and round-trips", "[base]") {
  test::SeededRng rng(2);
  for (std::size_t limbs = 1; limbs <= 7; ++limbs) {
    WideVector values(40, limbs);
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (std::uint64_t& word : values[i]) word = rng.next_u64() >> rng.below(64);
      if (i % 3 == 0) values[i].back() = ~std::uint64_t{0};
      const std::string text = values.to_decimal(i);
      REQUIRE(text == gmp_decimal(values[i]));
      WideVector copy(1, limbs);
      copy.set_decimal(0, text);
      REQUIRE(WideVector::compare(copy, 0, values, i) == 0);
    }
  }
}

TEST_CASE("bounds of a width", "[base]") {
  WideVector value(1, 2);
  value.set_decimal(0, "170141183460469231731687303715884105727");
  REQUIRE(value.bit_length(0) == 127);
  value.set_decimal(0, "-170141183460469231731687303715884105728");
  REQUIRE(value.is_negative(0));
  REQUIRE(value.bit_length(0) == 128);
  REQUIRE_THROWS_AS(value.set_decimal(0, "170141183460469231731687303715884105728"), InputError);
  REQUIRE_THROWS_AS(value.set_decimal(0, "-170141183460469231731687303715884105729"), InputError);
  REQUIRE_THROWS_AS(value.set_decimal(0, ""), InputError);
  REQUIRE_THROWS_AS(value.set_decimal(0, "-"), InputError);
  REQUIRE_THROWS_AS(value.set_decimal(0, "12a"), InputError);
}

TEST_CASE("widening keeps values and order, narrowing refuses to lose bits", "[base]") {
  const WideVector narrow = WideVector::from_int64(std::vector<std::int64_t>{-5, 0, 7, INT64_MIN, INT64_MAX});
  const WideVector wide = narrow.resized(3);
  REQUIRE(wide == narrow);
  REQUIRE(wide.resized(1) == narrow);
  REQUIRE(WideVector::compare(narrow, 0, wide, 1) < 0);
  REQUIRE(WideVector::compare(wide, 4, narrow, 3) > 0);
  REQUIRE(narrow.to_double(0) == -5.0);
  WideVector large(1, 2);
  large[0][1] = 1;
  REQUIRE_FALSE(large.fits_int64(0));
  REQUIRE_THROWS_AS(large.resized(1), Error);
  large[0][1] = 0;
  large[0][0] = std::uint64_t{1} << 63;  // positive, but the top bit of one word
  REQUIRE_THROWS_AS(large.resized(1), Error);
}

TEST_CASE("bit lengths at the powers of two, of either sign", "[base]") {
  WideVector value(1, 3);
  REQUIRE(value.bit_length(0) == 0);
  for (std::size_t bit = 0; bit < 191; ++bit) {
    for (auto& word : value[0]) word = 0;
    value[0][bit / 64] = std::uint64_t{1} << (bit % 64);
    REQUIRE(value.bit_length(0) == bit + 1);  // 2^bit
    if (bit == 0) continue;
    for (auto& word : value[0]) word = ~word;
    REQUIRE(value.bit_length(0) == bit + 1);  // -2^bit - 1
    for (std::size_t k = 0; k < 3; ++k) {     // -2^bit: ones from `bit` up
      value[0][k] = k < bit / 64 ? 0 : ~std::uint64_t{0};
      if (k == bit / 64) value[0][k] <<= bit % 64;
    }
    REQUIRE(value.bit_length(0) == bit + 1);
    for (auto& word : value[0]) word = ~word;
    REQUIRE(value.bit_length(0) == bit);  // 2^bit - 1
    for (std::size_t k = 0; k < 3; ++k) value[0][k] = ~value[0][k];
    value[0][0] |= 1;
    REQUIRE(value.bit_length(0) == bit);  // -2^bit + 1
  }
}
