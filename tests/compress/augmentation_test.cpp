#include "compress/training/augmentation.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

std::vector<std::uint8_t> random_picture(test::SeededRng& rng, const models::Shape& shape) {
  std::vector<std::uint8_t> picture(static_cast<std::size_t>(shape.size()));
  rng.fill(picture);
  return picture;
}

}  // namespace

TEST_CASE("without distortions a picture stays as it is") {
  test::SeededRng rng(1);
  for (int round = 0; round < 10; ++round) {
    const models::Shape shape{rng.between(1, 3), rng.between(1, 12), rng.between(1, 12)};
    const auto picture = random_picture(rng, shape);
    std::vector<float> out(picture.size());
    std::mt19937_64 random(7);
    augment({}, shape, picture, 0, random, out);
    for (std::size_t i = 0; i < out.size(); ++i) CHECK(out[i] == Approx(picture[i]).margin(1e-3));
  }
}

TEST_CASE("shifts alone move whole pixels and mirrors alone reverse rows") {
  test::SeededRng rng(2);
  const models::Shape shape{2, 9, 8};
  const auto picture = random_picture(rng, shape);
  std::vector<float> out(picture.size());
  Augmentation shifts;
  shifts.shift = 3;
  std::mt19937_64 random(5);
  bool moved = false;
  for (int round = 0; round < 20; ++round) {
    augment(shifts, shape, picture, 300, random, out);
    bool found = false;
    for (std::int64_t dy = -3; dy <= 3 && !found; ++dy) {
      for (std::int64_t dx = -3; dx <= 3 && !found; ++dx) {
        bool equal = true;
        for (std::int64_t i = 0; i < shape.size() && equal; ++i) {
          const std::int64_t x = i % 8 + dx, y = i / 8 % 9 + dy, c = i / 72;
          const bool inside = x >= 0 && x < 8 && y >= 0 && y < 9;
          const float expected = inside ? picture[static_cast<std::size_t>(c * 72 + y * 8 + x)] : 300.0F;
          equal = std::abs(out[static_cast<std::size_t>(i)] - expected) < 1e-3F;
        }
        found = equal;
        moved = moved || (equal && (dx != 0 || dy != 0));
      }
    }
    CHECK(found);
  }
  CHECK(moved);

  Augmentation mirrors;
  mirrors.mirror = true;
  int mirrored = 0;
  for (int round = 0; round < 40; ++round) {
    augment(mirrors, shape, picture, 0, random, out);
    const bool same = std::abs(out[0] - static_cast<float>(picture[0])) < 1e-3F;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t from = same ? i : i / 8 * 8 + 7 - i % 8;
      REQUIRE(out[i] == Approx(picture[from]).margin(1e-3));
    }
    mirrored += same ? 0 : 1;
  }
  CHECK(mirrored > 5);
  CHECK(mirrored < 35);
}

TEST_CASE("distorted pictures stay in range and follow the seed") {
  test::SeededRng rng(3);
  const models::Shape shape{1, 28, 28};
  const auto picture = random_picture(rng, shape);
  std::vector<float> first(picture.size()), second(picture.size());
  std::mt19937_64 a(11), b(11);
  for (int round = 0; round < 20; ++round) {
    augment(Augmentation::digits(), shape, picture, 0, a, first);
    augment(Augmentation::digits(), shape, picture, 0, b, second);
    CHECK(first == second);
    const auto [low, high] = std::minmax_element(first.begin(), first.end());
    CHECK(*low >= 0);
    CHECK(*high <= 255.001F);
  }
  augment(Augmentation::digits(), shape, picture, 0, b, second);
  CHECK(first != second);
}
