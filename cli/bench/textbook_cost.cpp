#include "cli/bench/textbook_cost.h"

#include <algorithm>

#include "protocols/ciphertext/steps/linear_layer.h"
#include "protocols/plan/steps.h"

namespace popcorn::cli {

namespace {

using paillier::LinearMap;

constexpr std::uint64_t kSample = 4096;
constexpr unsigned kBlindingBits = 128;
constexpr double kSampleSeconds = 0.02;

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

TextbookNetwork TextbookNetwork::of(const models::IntegerNetwork& network) {
  using models::NodeKind;
  TextbookNetwork textbook;
  textbook.encryptions = static_cast<std::uint64_t>(network.input().shape.size());
  textbook.decryptions = static_cast<std::uint64_t>(network.output().shape.size());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const models::Node& node = network.nodes[i];
    const auto size = static_cast<std::uint64_t>(node.shape.size());
    if (node.kind == NodeKind::dense || node.kind == NodeKind::conv2d) {
      textbook.layers.push_back(TextbookLayer::of(protocols::linear_map(network, i)));
      textbook.divisions += textbook.layers.back().divisions;
      textbook.additions += textbook.layers.back().additions;
    } else if (node.kind == NodeKind::sum_pool2d) {
      textbook.multiplications += TextbookLayer::of(protocols::linear_map(network, i)).powers;
    } else if (node.kind == NodeKind::add) {
      textbook.multiplications += size * (node.inputs.size() - 1);
    }
  }
  for (const protocols::Step& step : protocols::plan_steps(network)) {
    textbook.encryptions += step.count;
    textbook.decryptions += step.count;
    textbook.blindings += 2 * step.count;
    textbook.multiplications += step.count;
    if (step.kind == protocols::StepKind::max_pool) {
      textbook.divisions += step.count;
      textbook.multiplications += step.count;
    }
  }
  return textbook;
}

Timing TextbookNetwork::measure(GmpTextbook& gmp, std::size_t samples) const {
  std::vector<Contender> contenders = {{[&](std::size_t n) { gmp.encrypt(n); }, 1},
                                       {[&](std::size_t n) { gmp.decrypt(n); }, 1},
                                       {[&](std::size_t n) { gmp.scalar_multiply(n, kBlindingBits); }, 1},
                                       {[&](std::size_t n) { gmp.multiply(n); }, 1},
                                       {[&](std::size_t n) { gmp.divide(n); }, 1},
                                       {[&](std::size_t n) { gmp.add_plain(n); }, 1}};
  std::vector<std::uint64_t> counts = {encryptions,     decryptions, blindings,
                                       multiplications, divisions,   additions};
  for (const TextbookLayer& layer : layers) {
    contenders.push_back({[&](std::size_t n) { gmp.layer_terms(n, layer.sample); }, 1});
    counts.push_back(layer.powers);
  }
  const std::vector<Timing> timings = time_in_turn(contenders, samples, kSampleSeconds);
  Timing total;
  for (std::size_t i = 0; i < timings.size(); ++i) {
    const auto count = static_cast<double>(counts[i]);
    total.median += count * timings[i].median;
    total.minimum += count * timings[i].minimum;
    total.maximum += count * timings[i].maximum;
  }
  return total;
}

double TextbookLayer::seconds(double power, double division, double addition) const {
  return static_cast<double>(powers) * power + static_cast<double>(divisions) * division +
         static_cast<double>(additions) * addition;
}

}  // namespace popcorn::cli
