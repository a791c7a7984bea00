#include "models/evaluation/prediction.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::models {

TEST_CASE("The largest logit wins, the lowest index at a tie", "[prediction]") {
  const std::vector<std::int64_t> logits = {-5, 7, 7, 2};
  const Prediction prediction = predict(WideVector::from_int64(logits), {0.5}, true, {"a", "b", "c", "d"});
  CHECK(prediction.index == 1);
  CHECK(prediction.label == "b");
  const double sum = std::exp(-2.5) + 2 * std::exp(3.5) + std::exp(1.0);
  REQUIRE(prediction.probability.has_value());
  CHECK(*prediction.probability == Approx(std::exp(3.5) / sum));
}

TEST_CASE("The best classes come in order, with probabilities that fall and sum to at most one",
          "[prediction]") {
  test::SeededRng rng(8);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::int64_t> logits(static_cast<std::size_t>(rng.between(1, 30)));
    for (std::int64_t& logit : logits) logit = rng.between(-20, 20);  // ties are frequent
    const WideVector wide = WideVector::from_int64(logits);
    const auto count = static_cast<std::size_t>(rng.between(1, 35));
    const std::vector<Candidate> best = best_classes(wide, {0.25}, true, {}, count);
    REQUIRE(best.size() == std::min(count, logits.size()));
    REQUIRE(best.front().index == predict(wide, {0.25}, true, {}).index);
    double sum = 0;
    for (std::size_t k = 0; k < best.size(); ++k) {
      sum += *best[k].probability;
      if (k == 0) continue;
      const std::int64_t before = logits[best[k - 1].index], here = logits[best[k].index];
      REQUIRE((before > here || (before == here && best[k - 1].index < best[k].index)));
      REQUIRE(*best[k].probability <= *best[k - 1].probability);
    }
    REQUIRE(sum <= 1 + 1e-9);
    if (best.size() == logits.size()) REQUIRE(sum == Approx(1));
  }
  CHECK_THROWS_AS(best_classes(WideVector(), {1.0}, true, {}, 5), InputError);
}

TEST_CASE("Logits beyond double precision are compared exactly", "[prediction]") {
  WideVector logits(2, 2);
  logits.set_decimal(0, "36893488147419103232");
  logits.set_decimal(1, "36893488147419103233");
  CHECK(predict(logits, {1e-18}, true, {}).index == 1);
}

TEST_CASE("Without labels the label is the index, without softmax there is no probability", "[prediction]") {
  const std::vector<std::int64_t> logits = {1, 2};
  const Prediction prediction = predict(WideVector::from_int64(logits), {1.0}, false, {});
  CHECK(prediction.label == "1");
  CHECK_FALSE(prediction.probability.has_value());
}

TEST_CASE("A scale per logit counts", "[prediction]") {
  const std::vector<std::int64_t> logits = {10, 2};
  CHECK(predict(WideVector::from_int64(logits), {0.1, 3.0}, true, {}).index == 1);
  CHECK_THROWS_AS(predict(WideVector::from_int64(logits), {1.0, 1.0, 1.0}, true, {}), InputError);
  CHECK_THROWS_AS(predict(WideVector(), {1.0}, true, {}), InputError);
}

TEST_CASE("Probabilities lie between the uniform one and one for any logits", "[prediction]") {
  test::SeededRng rng(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int64_t> logits(static_cast<std::size_t>(rng.between(1, 20)));
    for (std::int64_t& logit : logits) logit = rng.between(-1'000'000, 1'000'000);
    const Prediction prediction = predict(WideVector::from_int64(logits), {0.003}, true, {});
    REQUIRE(*prediction.probability >= 1.0 / static_cast<double>(logits.size()) - 1e-12);
    REQUIRE(*prediction.probability <= 1.0);
  }
}

}  // namespace popcorn::models
