#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "models/datasets/image_reading.h"
#include "models/samples/sample_set.h"

namespace popcorn::samples {

TEST_CASE("The sample pictures are the ones that the generator draws", "[cli]") {
  for (const NamedPicture& drawn : sample_set()) {
    INFO(drawn.file_name);
    const models::Image shipped = datasets::read_image("models/samples/" + drawn.file_name);
    REQUIRE(shipped.width == drawn.picture.side);
    REQUIRE(shipped.height == drawn.picture.side);
    REQUIRE(shipped.channels == 1);
    REQUIRE(shipped.samples.size() == drawn.picture.samples.size());
    // One grey level for another library's sine.
    for (std::size_t i = 0; i < shipped.samples.size(); ++i) {
      REQUIRE(std::abs(int{shipped.samples[i]} - int{drawn.picture.samples[i]}) <= 1);
    }
  }
}

TEST_CASE("There are at least 20 samples, all ten digits, several sizes, both kinds of paper", "[cli]") {
  std::set<char> labels;
  std::set<int> sides;
  std::set<bool> papers;
  for (const NamedPicture& drawn : sample_set()) {
    labels.insert(drawn.file_name.front());
    sides.insert(drawn.picture.side);
    papers.insert(drawn.picture.samples.front() > 127);
  }
  CHECK(sample_set().size() >= 20);
  CHECK(labels.size() == 10);
  CHECK(sides.size() >= 3);
  CHECK(papers.size() == 2);
}

TEST_CASE("A drawn digit has its centre of mass in the middle and fills 20/28 of the picture", "[cli]") {
  for (const NamedPicture& drawn : sample_set()) {
    INFO(drawn.file_name);
    const Picture& picture = drawn.picture;
    const bool is_dark_on_light = picture.samples.front() > 127;
    double mass = 0;
    std::array<double, 2> center{};
    std::array<int, 2> low = {picture.side, picture.side};
    std::array<int, 2> high = {-1, -1};
    for (int y = 0; y < picture.side; ++y) {
      for (int x = 0; x < picture.side; ++x) {
        const int sample = picture.samples[static_cast<std::size_t>(y * picture.side + x)];
        const double ink = (is_dark_on_light ? 255 - sample : sample) / 255.0;
        mass += ink;
        center = {center[0] + ink * (x + 0.5), center[1] + ink * (y + 0.5)};
        if (ink > 0.5) {
          low = {std::min(low[0], x), std::min(low[1], y)};
          high = {std::max(high[0], x), std::max(high[1], y)};
        }
      }
    }
    const double middle = picture.side / 2.0;
    CHECK(center[0] / mass == Approx(middle).margin(0.06 * picture.side));
    CHECK(center[1] / mass == Approx(middle).margin(0.06 * picture.side));
    const int extent = 1 + std::max(high[0] - low[0], high[1] - low[1]);
    CHECK(extent == Approx(20.0 / 28.0 * picture.side).margin(1.5));
  }
}

}  // namespace popcorn::samples
