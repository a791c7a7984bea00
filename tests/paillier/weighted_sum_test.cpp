// Weighted sums on ciphertexts against plain sums, and counted against predicted multiplications.
#include "paillier/weighted_sum/weighted_sum.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "paillier/evaluator.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/keys/key_owner.h"
#include "paillier/weighted_sum/weighted_sum_program.h"
#include "tests/paillier/linear_maps.h"

using namespace popcorn;
using namespace popcorn::paillier;
using popcorn::test::plain_sums;
using popcorn::test::random_map;

TEST_CASE("weighted sums equal plain sums and cost what the plan says", "[weighted_sum]") {
  test::SeededRng rng(21);
  const KeyOwner owner(PrivateKey::generate(256, KeyKind::ordinary, KeySizePolicy::insecure_test, rng), rng);
  const auto context = PublicContext::create(owner.public_key(), rng);
  for (int round = 0; round < 60; ++round) {
    const std::size_t positions = std::vector<std::size_t>{1, 1, 2, 5, 8, 9, 25, 79}[rng.below(8)];
    const std::int64_t largest = std::vector<std::int64_t>{1, 3, 7, 15, 127, 1000}[rng.below(6)];
    const LinearMap map = random_map(rng, positions, largest, static_cast<unsigned>(5 + rng.below(95)),
                                     rng.below(2) == 0, rng.below(2) == 0);
    std::vector<std::int64_t> x(map.inputs);
    for (auto& value : x) value = rng.between(-300, 300);
    const std::vector<std::int64_t> expected = plain_sums(map, x);
    Bytes wire;
    owner.encrypt(WideVector::from_int64(x), wire);
    const Evaluator evaluator(context, rng);
    const CiphertextBatch inputs = evaluator.parse(wire, map.inputs);
    const WeightedSumPlan plan(map);
    INFO("round " << round << ", " << map.channels << " channels, " << positions
                  << " positions, weights up to " << largest);
    const std::uint64_t before = evaluator.counts().multiplications;
    const CiphertextBatch outputs = evaluator.weighted_sum(plan, inputs);
    REQUIRE(evaluator.counts().multiplications - before == plan.cost().multiplications);
    REQUIRE(evaluator.counts().inversions == plan.cost().inversions);
    Bytes answer;
    evaluator.serialise(outputs, answer);
    REQUIRE(owner.decrypt(answer, outputs.size(), 1) == WideVector::from_int64(expected));
  }
}

TEST_CASE("convolutions take inputs apart, and long sums of logarithms stay exact", "[weighted_sum]") {
  test::SeededRng rng(26);
  const KeyOwner owner(PrivateKey::generate(256, KeyKind::ordinary, KeySizePolicy::insecure_test, rng), rng);
  const auto context = PublicContext::create(owner.public_key(), rng);
  for (const std::int64_t largest : {1, 3, 100}) {
    for (const bool with_negative : {false, true}) {
      LinearMap map = random_map(rng, 16, largest, 100, true, true);
      // Far more terms than a sum of logarithms holds before it is reduced.
      map.taps = 1500;
      map.tap.clear();
      map.weight.clear();
      map.row_start = {0};
      for (std::size_t channel = 0; channel < map.channels; ++channel) {
        for (std::uint32_t tap = 0; tap < map.taps; ++tap) {
          map.tap.push_back(tap);
          map.weight.push_back(static_cast<std::int32_t>(rng.between(1, largest)));
          if (with_negative && rng.below(2) == 0) map.weight.back() = -map.weight.back();
        }
        map.row_start.push_back(static_cast<std::uint32_t>(map.tap.size()));
      }
      map.input_index.clear();
      for (std::size_t i = 0; i < map.taps * map.positions; ++i) {
        map.input_index.push_back(rng.below(5) == 0 ? LinearMap::kPadding
                                                    : static_cast<std::uint32_t>(rng.below(map.inputs)));
      }
      std::vector<std::int64_t> x(map.inputs);
      for (auto& value : x) value = rng.between(-300, 300);
      Bytes wire;
      owner.encrypt(WideVector::from_int64(x), wire);
      const WeightedSumPlan plan(map, WeightedSumPlan::Tables::never);
      INFO("weights up to " << largest);
      REQUIRE(plan.program().factored);
      for (const kernels::Kernel* const kernel : kernels::all()) {
        if (!kernel->supported()) continue;
        const Evaluator evaluator(PublicContext::create(owner.public_key(), rng, kernel), rng);
        const CiphertextBatch inputs = evaluator.parse(wire, map.inputs);
        const std::uint64_t before = evaluator.counts().multiplications;
        const CiphertextBatch outputs = evaluator.weighted_sum(plan, inputs);
        REQUIRE(evaluator.counts().multiplications - before == plan.cost().multiplications);
        REQUIRE(evaluator.counts().inversions == plan.cost().inversions);
        Bytes answer;
        evaluator.serialise(outputs, answer);
        REQUIRE(owner.decrypt(answer, outputs.size(), 1) == WideVector::from_int64(plain_sums(map, x)));
      }
    }
  }
}

TEST_CASE("sparse few-bit layers cost little more than one multiplication a weight", "[weighted_sum]") {
  test::SeededRng rng(22);
  LinearMap map = random_map(rng, 64, 7, 100, false, true);
  const WeightedSumPlan plan(map);
  const double weights = static_cast<double>(map.weight.size() * map.positions);
  const double others = static_cast<double>(map.channels * (8 * map.positions + 1) + 3 * map.inputs);
  REQUIRE(static_cast<double>(plan.cost().multiplications) <= weights + others);
  REQUIRE(plan.cost().naive > plan.cost().multiplications);
}

TEST_CASE("damaged layers are refused", "[weighted_sum]") {
  test::SeededRng rng(23);
  const LinearMap good = random_map(rng, 4, 7, 80, true, true);
  const auto damaged = [&](auto&& change) {
    LinearMap map = good;
    change(map);
    return map;
  };
  REQUIRE_NOTHROW(WeightedSumPlan(good));
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.channels = 0; })), InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.row_start.back() += 1; })), InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.tap.at(0) = 1000; })), InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.weight.at(0) = 0; })), InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.input_index.pop_back(); })), InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.input_index.at(0) = 500; })),
                    InputError);
  REQUIRE_THROWS_AS(WeightedSumPlan(damaged([](LinearMap& map) { map.bias = WideVector(); })), InputError);
}

TEST_CASE("both kernels compute the same weighted sums, packings and scalar products", "[weighted_sum]") {
  test::SeededRng rng(24);
  for (int round = 0; round < 6; ++round) {
    const KeyOwner owner(PrivateKey::generate(512, KeyKind::ordinary, KeySizePolicy::insecure_test, rng),
                         rng);
    const LinearMap map =
        random_map(rng, std::vector<std::size_t>{1, 7, 16}[rng.below(3)], 15, 60, true, true);
    const WeightedSumPlan plan(map);
    std::vector<std::int64_t> x(map.inputs);
    for (auto& value : x) value = rng.between(0, 1000);
    WideVector scalars(map.outputs(), 1);
    for (std::size_t i = 0; i < map.outputs(); ++i) scalars.set_int64(i, rng.between(0, 4095));
    Bytes wire;
    owner.encrypt(WideVector::from_int64(x), wire);
    std::vector<Bytes> answers;
    std::vector<std::uint64_t> multiplications;
    for (const kernels::Kernel* const kernel : kernels::all()) {
      if (!kernel->supported()) continue;
      const Evaluator evaluator(PublicContext::create(owner.public_key(), rng, kernel), rng);
      const CiphertextBatch y = evaluator.weighted_sum(plan, evaluator.parse(wire, map.inputs));
      const CiphertextBatch multiples = evaluator.scalar_multiply(y, scalars, 12);
      const CiphertextBatch differences = evaluator.subtract(multiples, y);
      answers.emplace_back();
      // None of these draws randomness, so the ciphertexts themselves must agree.
      evaluator.serialise(y, answers.back());
      evaluator.serialise(differences, answers.back());
      evaluator.serialise(evaluator.pack(y, 40, 3), answers.back());
      multiplications.push_back(evaluator.counts().multiplications);
    }
    for (std::size_t i = 1; i < answers.size(); ++i) {
      INFO("round " << round);
      REQUIRE(answers[i] == answers[0]);
      REQUIRE(multiplications[i] == multiplications[0]);
    }
  }
}

TEST_CASE("owners with either kernel read each other's ciphertexts", "[key_owner]") {
  test::SeededRng rng(25);
  constexpr auto kAnySize = KeySizePolicy::insecure_test;
  const PrivateKey key = PrivateKey::generate(512, KeyKind::ordinary, kAnySize, rng);
  std::vector<std::int64_t> x(21);
  for (auto& value : x) value = rng.between(-1000000, 1000000);
  const WideVector values = WideVector::from_int64(x);
  for (const kernels::Kernel* const writer : kernels::all()) {
    for (const kernels::Kernel* const reader : kernels::all()) {
      if (!writer->supported() || !reader->supported()) continue;
      Bytes wire;
      KeyOwner(PrivateKey::from_primes(key.p(), key.q(), kAnySize), rng, writer).encrypt(values, wire);
      const KeyOwner owner(PrivateKey::from_primes(key.p(), key.q(), kAnySize), rng, reader);
      REQUIRE(owner.decrypt(wire, values.size(), 1) == values);
    }
  }
}
