#include "protocols/ciphertext/steps/share.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "protocols/packing/slots.h"
#include "protocols/plan/steps.h"
#include "tests/protocols/parties.h"

namespace popcorn::protocols {
namespace {

using test::party;

/// Boundary and random values below 2^bits in magnitude.
WideVector values_below(test::SeededRng& rng, unsigned bits, std::size_t count) {
  WideVector values(count, WideVector::limbs_for_bits(bits));
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t largest = (std::int64_t{1} << bits) - 1;
    const std::int64_t picks[] = {0, 1, -1, largest, -largest, rng.between(-largest, largest)};
    values.set_int64(i, picks[i % 6]);
  }
  return values;
}

/// Value i of c − r as a 64-bit integer (it fits when x does).
std::int64_t difference(const WideVector& c, const WideVector& r, std::size_t i) {
  return static_cast<std::int64_t>(c[i][0] - r[i][0]);
}

TEST_CASE("shares of the client and masks of the server give back the values") {
  test::SeededRng rng(61);
  for (const unsigned key_bits : {256U, 512U}) {
    const test::Party& keys = party(key_bits);
    const paillier::Evaluator evaluator(keys.context, rng);
    for (const unsigned bits : {1U, 2U, 9U, 22U, 23U, 40U, 60U}) {
      for (const std::size_t count : {std::size_t{1}, std::size_t{7}, std::size_t{23}}) {
        const WideVector x = values_below(rng, bits, count);
        Bytes wire;
        const WideVector masks = seal_shares(evaluator, keys.encrypt(evaluator, x), bits, rng, wire);
        CHECK(wire.size() == share_layout(bits, key_bits).ciphertexts(count) * keys.ciphertext_bytes());
        const WideVector shares = open_shares(*keys.owner, wire, count, bits);
        REQUIRE(masks.max_bit_length() <= mask_bits(bits));
        for (std::size_t i = 0; i < count; ++i) {
          CAPTURE(key_bits, bits, count, i);
          CHECK(difference(shares, masks, i) == x.to_int64(i));
        }
      }
    }
  }
}

TEST_CASE("the same values under the same masks are sealed into different ciphertexts") {
  const test::Party& keys = party(256);
  test::SeededRng rng(62);
  const paillier::Evaluator evaluator(keys.context);
  const WideVector x = values_below(rng, 8, 6);
  const paillier::CiphertextBatch batch = keys.encrypt(evaluator, x);
  std::array<Bytes, 2> wires;
  std::array<WideVector, 2> masks;
  for (std::size_t i = 0; i < 2; ++i) {
    test::SeededRng same(63);
    masks[i] = seal_shares(evaluator, batch, 8, same, wires[i]);
  }
  CHECK(masks[0] == masks[1]);
  for (std::size_t i = 0; i < wires[0].size(); i += keys.ciphertext_bytes()) {
    CHECK_FALSE(std::equal(wires[0].begin() + static_cast<std::ptrdiff_t>(i),
                           wires[0].begin() + static_cast<std::ptrdiff_t>(i + keys.ciphertext_bytes()),
                           wires[1].begin() + static_cast<std::ptrdiff_t>(i)));
  }
  CHECK(open_shares(*keys.owner, wires[0], 6, 8) == open_shares(*keys.owner, wires[1], 6, 8));
}

TEST_CASE("what the client opens is uniform whatever the value") {
  // c mod 64 and c's top six bits over many neurons; 63 degrees of freedom, beyond 120 once in 50,000.
  const test::Party& keys = party(512);
  test::SeededRng rng(64);
  const paillier::Evaluator evaluator(keys.context, rng);
  constexpr unsigned kBits = 10;
  constexpr std::size_t kCount = 64 * 60;
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{1023}, std::int64_t{-1023}}) {
    const WideVector x = WideVector::from_int64(std::vector<std::int64_t>(kCount, value));
    Bytes wire;
    seal_shares(evaluator, keys.encrypt(evaluator, x), kBits, rng, wire);
    const WideVector shares = open_shares(*keys.owner, wire, kCount, kBits);
    std::array<double, 64> low{}, high{};
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::int64_t c = shares.to_int64(i);
      ++low[static_cast<std::size_t>(c & 63)];
      ++high[static_cast<std::size_t>((c >> (mask_bits(kBits) - 6)) & 63)];
    }
    for (const auto& counts : {low, high}) {
      double chi_square = 0;
      for (const double count : counts) chi_square += (count - 60) * (count - 60) / 60;
      CAPTURE(value);
      CHECK(chi_square < 120);
      CHECK(chi_square > 25);  // nor more even than chance
    }
  }
}

TEST_CASE("plaintexts that are no packing are refused") {
  const test::Party& keys = party(256);
  const SlotLayout layout = share_layout(8, 256);
  REQUIRE(layout.per_ciphertext == 5);
  const auto code = [&](const WideVector& packed, std::size_t count) {
    Bytes wire;
    keys.owner->encrypt(packed, wire);
    try {
      open_shares(*keys.owner, wire, count, 8);
    } catch (const InputError& error) {
      return error.code();
    }
    return std::string();
  };
  WideVector packed(1, 4);
  CHECK(code(packed, 5).empty());
  packed[0][0] = 1;
  packed[0][3] = std::uint64_t{1} << 57;  // bit 249, the highest of five slots of 50 bits
  CHECK(code(packed, 5).empty());
  CHECK(code(packed, 4) == "message.plaintext");
  packed[0][3] = std::uint64_t{1} << 58;
  CHECK(code(packed, 5) == "message.plaintext");
  packed.set_int64(0, -1);
  CHECK(code(packed, 5) == "message.plaintext");
}

}  // namespace
}  // namespace popcorn::protocols
