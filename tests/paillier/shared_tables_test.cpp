// Weighted sums whose rows share tables of products: exact, counted exactly, and cheaper.
#include <catch2/catch.hpp>

#include "paillier/evaluator.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/keys/key_owner.h"
#include "tests/paillier/linear_maps.h"

namespace popcorn::paillier {
namespace {

using Tables = WeightedSumPlan::Tables;

LinearMap random_layer(test::SeededRng& rng) {
  const std::int64_t largest = std::vector<std::int64_t>{1, 1, 1, 3, 7, 100}[rng.below(6)];
  const unsigned density = std::vector<unsigned>{100, 100, 95, 67, 50, 20}[rng.below(6)];
  switch (rng.below(3)) {
    case 0:
      return test::random_dense(rng, 1 + rng.below(40), 1 + rng.below(40), largest, density);
    case 1:
      return test::random_convolution(rng,
                                      {rng.between(1, 8), rng.between(3, 7), rng.between(1, 3),
                                       rng.between(1, 2), rng.between(0, 1), rng.between(1, 16)},
                                      largest, density);
    default:
      return test::random_map(rng, 1 + rng.below(12), largest, density, rng.below(2) == 0, true);
  }
}

TEST_CASE("layers with shared tables equal plain sums on both kernels and cost what the plan says",
          "[weighted_sum][tables]") {
  test::SeededRng rng(41);
  const KeyOwner owner(PrivateKey::generate(256, KeyKind::ordinary, KeySizePolicy::insecure_test, rng), rng);
  int with_tables = 0;
  for (int round = 0; round < 60; ++round) {
    const LinearMap map = random_layer(rng);
    std::vector<std::int64_t> x(map.inputs);
    for (auto& value : x) value = rng.between(-300, 300);
    const WideVector expected = WideVector::from_int64(test::plain_sums(map, x));
    Bytes wire;
    owner.encrypt(WideVector::from_int64(x), wire);
    const WeightedSumPlan plan(map);
    const WeightedSumPlan unshared(map, Tables::never);
    INFO("round " << round << ", " << map.channels << " channels, " << map.taps << " taps, " << map.positions
                  << " positions, " << plan.cost().table_entries << " table entries");
    REQUIRE(plan.cost().unshared == unshared.cost().multiplications);
    REQUIRE(plan.cost().multiplications <= unshared.cost().multiplications);
    REQUIRE(unshared.cost().table_entries == 0);
    if (plan.cost().table_entries != 0) ++with_tables;
    for (const kernels::Kernel* const kernel : kernels::all()) {
      if (!kernel->supported()) continue;
      const Evaluator evaluator(PublicContext::create(owner.public_key(), rng, kernel), rng);
      const CiphertextBatch inputs = evaluator.parse(wire, map.inputs);
      for (const WeightedSumPlan* const which : {&plan, &unshared}) {
        const OperationCounts before = evaluator.counts();
        const CiphertextBatch outputs = evaluator.weighted_sum(*which, inputs);
        const OperationCounts after = evaluator.counts();
        REQUIRE(after.multiplications - before.multiplications == which->cost().multiplications);
        REQUIRE(after.inversions - before.inversions == which->cost().inversions);
        Bytes answer;
        evaluator.serialise(outputs, answer);
        REQUIRE(owner.decrypt(answer, outputs.size(), 1) == expected);
      }
    }
  }
  REQUIRE(with_tables >= 20);
}

TEST_CASE("a dense binary layer costs a fraction of one multiplication a weight", "[weighted_sum][tables]") {
  test::SeededRng rng(42);
  // Blocks of 6 inputs: 256/6 patterns a row, and 57 products a block shared by the 100 rows.
  const WeightedSumPlan binary(test::random_dense(rng, 256, 100, 1, 100));
  REQUIRE(binary.cost().table_entries > 0);
  REQUIRE(binary.cost().multiplications * 3 < binary.cost().unshared);
  const WeightedSumPlan ternary(test::random_dense(rng, 256, 100, 1, 67));
  REQUIRE(ternary.cost().multiplications * 5 < ternary.cost().unshared * 4);
  // Hardly two rows of a sparse layer of several magnitudes read the same inputs.
  const WeightedSumPlan sparse(test::random_dense(rng, 256, 100, 7, 5));
  REQUIRE(sparse.cost().table_entries == 0);
}

TEST_CASE("the taps of a window and all output channels share the products of planes",
          "[weighted_sum][tables]") {
  // 3×3 windows at 16 positions of 8 planes of 6×6, all weights 1: one pattern in the only block.
  test::SeededRng rng(44);
  LinearMap map = test::random_convolution(rng, {8, 6, 3, 1, 0, 20}, 1, 100);
  map.weight.assign(map.weight.size(), 1);
  map.bias = WideVector(map.channels, 1);
  const WeightedSumPlan plan(map);
  // At most 7 products at each of the 36 pixels, then 8 of the 9 taps a channel and position.
  REQUIRE(plan.cost().multiplications <= 7 * 36 + 8 * 16 * 20);
}

TEST_CASE("rows of huge weights are planned without a step for each magnitude", "[weighted_sum][tables]") {
  test::SeededRng rng(45);
  LinearMap map = test::random_dense(rng, 6, 4, 1, 100);
  for (auto& weight : map.weight) weight = weight < 0 ? -(1 << 30) : 1 << 30;
  const WeightedSumPlan plan(std::move(map));
  REQUIRE(plan.cost().multiplications < 1000);
}

TEST_CASE("tables keep to their limit of entries", "[weighted_sum][tables]") {
  test::SeededRng rng(43);
  const LinearMap map = test::random_convolution(rng, {64, 20, 3, 1, 0, 64}, 1, 100);
  const WeightedSumPlan plan(map);
  REQUIRE(plan.cost().table_entries > 0);
  REQUIRE(plan.cost().table_entries <= 2 * (map.inputs + map.outputs()));
  REQUIRE(plan.cost().multiplications * 3 < plan.cost().unshared);
}

}  // namespace
}  // namespace popcorn::paillier
