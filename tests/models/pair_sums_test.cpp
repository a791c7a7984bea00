// The inner loop of evaluation in 32 bits: every kernel against plain arithmetic.
#include "models/evaluation/kernels/pair_sums.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::models::kernels;

TEST_CASE("pair sums equal sums of products, for every number of positions", "[models]") {
  test::SeededRng rng(54);
  constexpr std::size_t kTaps = 13;
  const auto number = [&] {  // of 16 bits, the ends of the range often
    return static_cast<std::int16_t>(rng.below(3) == 0 ? (rng.below(2) == 0 ? 32767 : -32767)
                                                       : rng.between(-32767, 32767));
  };
  for (std::size_t positions = 1; positions <= 27; ++positions) {
    const std::size_t stride = kLanes * static_cast<std::size_t>(rng.between(1, 3));
    const std::size_t room = positions * stride + 64;
    std::vector<std::int16_t> first(room), second(room);
    std::vector<std::int32_t> values(room);
    for (std::size_t i = 0; i < room; ++i) {
      first[i] = number();
      second[i] = number();
      values[i] = pair_of(first[i], second[i]);
    }
    std::vector<PairTap> taps;
    std::vector<std::int64_t> weights;
    for (std::size_t t = 0; t < kTaps; ++t) {
      const std::int16_t a = number(), b = number();
      taps.push_back({static_cast<std::int32_t>(rng.below(64 - kLanes)), pair_of(a, b)});
      weights.insert(weights.end(), {a, b});
    }
    const auto start = static_cast<std::int32_t>(rng.between(-1'000'000'000, 1'000'000'000));
    for (const PairSums* kernel : {&portable_pair_sums(), &pair_sums()}) {
      std::vector<std::int32_t> sums(positions * kLanes);
      kernel->run(sums.data(), positions, start, values.data(), stride, taps.data(), taps.size());
      for (std::size_t i = 0; i < sums.size(); ++i) {
        std::int64_t expected = start;
        for (std::size_t t = 0; t < kTaps; ++t) {
          const std::size_t at = i / kLanes * stride + static_cast<std::size_t>(taps[t].offset) + i % kLanes;
          expected += weights[2 * t] * first[at] + weights[2 * t + 1] * second[at];
        }
        INFO(kernel->name << ", " << positions << " positions, value " << i);
        REQUIRE(sums[i] == static_cast<std::int32_t>(static_cast<std::uint64_t>(expected) & 0xffffffff));
      }
    }
  }
}
