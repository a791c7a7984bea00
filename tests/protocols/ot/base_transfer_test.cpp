// Base transfers on ristretto255, and the transposition of bit matrices.
#include "protocols/ot/sources/base_transfer.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "protocols/ot/bits/bit_matrix.h"
#include "protocols/ot/failed_check.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::protocols::ot {
namespace {

TEST_CASE("transposition moves every bit", "[ot]") {
  test::SeededRng rng(41);
  for (const std::size_t groups : {1U, 2U, 5U}) {
    const std::size_t stride = groups + 1;
    std::vector<Block> columns(kRowBits * stride);
    rng.fill({reinterpret_cast<std::uint8_t*>(columns.data()), columns.size() * sizeof(Block)});
    std::vector<Block> rows(kRowBits * groups);
    transpose(columns.data(), stride, groups, rows.data());
    const auto bit = [](Block block, std::size_t i) {
      return ((i < 64 ? block.low : block.high) >> (i % 64)) & 1U;
    };
    for (std::size_t j = 0; j < rows.size(); ++j) {
      for (std::size_t i = 0; i < kRowBits; ++i)
        REQUIRE(bit(rows[j], i) == bit(columns[i * stride + j / kRowBits], j % kRowBits));
    }
  }
}

TEST_CASE("base transfers give one seed of each pair", "[ot]") {
  test::SeededRng rng(45);
  Bytes nonce(16);
  for (unsigned trial = 0; trial < 3; ++trial) {
    rng.fill(nonce);
    const BaseOwner owner(rng);
    Bytes request;
    owner.request(request);
    REQUIRE(request.size() == kBaseRequestBytes);
    const BaseChooser chooser(request);
    Bytes reply;
    const ChosenSeeds chosen = chooser.reply(nonce, rng, reply);
    REQUIRE(reply.size() == kBaseReplyBytes);
    const OfferedSeeds offered = owner.finish(nonce, reply);
    std::size_t ones = 0;
    for (std::size_t i = 0; i < kBaseTransfers; ++i) {
      REQUIRE(chosen.choices[i] <= 1);
      REQUIRE(chosen.seeds[i] == offered.pairs[i][chosen.choices[i]]);
      REQUIRE_FALSE(chosen.seeds[i] == offered.pairs[i][1 - chosen.choices[i]]);
      ones += chosen.choices[i];
    }
    REQUIRE(chosen.choices[0] == 0);
    REQUIRE(ones > 30);
    REQUIRE(ones < 98);
    // Another reply to the same request has nothing in common with it; another nonce gives other seeds.
    Bytes again;
    const ChosenSeeds others = chooser.reply(nonce, rng, again);
    REQUIRE(again != reply);
    REQUIRE(others.choices != chosen.choices);
    Bytes other_nonce = nonce;
    other_nonce[0] ^= 1;
    const OfferedSeeds elsewhere = owner.finish(other_nonce, reply);
    for (std::size_t i = 0; i < kBaseTransfers; ++i) {
      REQUIRE_FALSE(elsewhere.pairs[i][chosen.choices[i]] == chosen.seeds[i]);
    }
  }
}

TEST_CASE("elements that are no points, or the identity, are refused", "[ot]") {
  test::SeededRng rng(46);
  const Bytes nonce(16);
  const BaseOwner owner(rng);
  Bytes request;
  owner.request(request);
  Bytes reply;
  BaseChooser(request).reply(nonce, rng, reply);
  std::vector<Bytes> bad(4, Bytes(kPointBytes, 0));  // the identity
  bad[1].assign(kPointBytes, 0xff);                  // not reduced
  bad[2] = request;
  bad[2][31] |= 0x80;  // not canonical
  bad[3][0] = 1;       // "negative": odd
  for (const Bytes& point : bad) {
    REQUIRE_THROWS_AS(BaseChooser(point), InputError);
    for (const std::size_t at : {std::size_t{0}, std::size_t{77}, 2 * kBaseTransfers - 1}) {
      Bytes damaged = reply;
      std::ranges::copy(point, damaged.begin() + static_cast<std::ptrdiff_t>(at * kPointBytes));
      REQUIRE_THROWS_AS(owner.finish(nonce, damaged), FailedCheck);
    }
  }
  REQUIRE_THROWS_AS(BaseChooser(Bytes(31, 2)), InputError);
}

}  // namespace
}  // namespace popcorn::protocols::ot
