#include "models/samples/sample_set.h"

#include <array>
#include <cstddef>

namespace popcorn::samples {

namespace {

constexpr std::array<int, 6> kSides = {28, 64, 96, 48, 160, 36};
constexpr std::size_t kDarkOnLightEvery = 3;
constexpr std::uint64_t kFirstSeed = 2024;

}  // namespace

std::vector<NamedPicture> sample_set() {
  std::vector<NamedPicture> set;
  for (int digit = 0; digit <= 9; ++digit) {
    int number = 0;
    for (const Glyph& glyph : glyphs_of(digit)) {
      Style style;
      style.seed = kFirstSeed + set.size();
      style.side = kSides[set.size() % kSides.size()];
      style.dark_on_light = set.size() % kDarkOnLightEvery == 1;
      const std::string file_name = std::to_string(digit) + "_" + std::to_string(++number) + ".png";
      set.push_back({file_name, draw(glyph, style)});
    }
  }
  return set;
}

}  // namespace popcorn::samples
