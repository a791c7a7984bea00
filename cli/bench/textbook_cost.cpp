#include "cli/bench/textbook_cost.h"

#include <algorithm>

namespace popcorn::cli {

namespace {

using paillier::LinearMap;

constexpr std::uint64_t kSample = 4096;

/// At how many positions each tap reads an input and not padding.
std::vector<std::uint32_t> uses_of_taps(const LinearMap& map) {
  std::vector<std::uint32_t> uses(map.taps);
  for (std::size_t tap = 0; tap < map.taps; ++tap) {
    const auto row = map.input_index.begin() + static_cast<std::ptrdiff_t>(tap * map.positions);
    uses[tap] = static_cast<std::uint32_t>(
        std::count_if(row, row + static_cast<std::ptrdiff_t>(map.positions),
                      [](std::uint32_t input) { return input != LinearMap::kPadding; }));
  }
  return uses;
}

}  // namespace

TextbookLayer TextbookLayer::of(const LinearMap& map) {
  const std::vector<std::uint32_t> uses = uses_of_taps(map);
  TextbookLayer layer;
  for (const std::uint32_t tap : map.tap) layer.powers += uses[tap];
  const std::uint64_t every = std::max<std::uint64_t>(1, layer.powers / kSample);
  std::uint64_t seen = 0;
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    bool has_negative = false;
    for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
      has_negative = has_negative || map.weight[k] < 0;
      const std::uint64_t first = (seen + every - 1) / every;
      seen += uses[map.tap[k]];
      const std::uint64_t last = (seen + every - 1) / every;
      layer.sample.insert(layer.sample.end(), last - first, map.weight[k]);
    }
    if (has_negative) layer.divisions += map.positions;
    if (!map.bias.is_zero(channel)) layer.additions += map.positions;
  }
  if (layer.sample.empty()) layer.sample.push_back(1);
  return layer;
}

std::vector<Contender> TextbookLayer::contenders(GmpTextbook& gmp) const {
  return {{[this, &gmp](std::size_t n) { gmp.layer_terms(n, sample); }, 1},
          {[&gmp](std::size_t n) { gmp.divide(n); }, 1},
          {[&gmp](std::size_t n) { gmp.add_plain(n); }, 1}};
}

double TextbookLayer::seconds(double power, double division, double addition) const {
  return static_cast<double>(powers) * power + static_cast<double>(divisions) * division +
         static_cast<double>(additions) * addition;
}

}  // namespace popcorn::cli
