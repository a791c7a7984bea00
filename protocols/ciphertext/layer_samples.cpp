#include "protocols/ciphertext/layer_samples.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "base/error.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/steps/linear_layer.h"
#include "protocols/ciphertext/steps/max_pool_step.h"

namespace popcorn::protocols {

using models::NodeKind;
using paillier::CiphertextBatch;
using paillier::LinearMap;

namespace {

/// Positions that are evaluated together: a group of the vector kernel.
constexpr std::size_t kPositions = 8;

WideVector gather(const WideVector& values, std::span<const std::uint32_t> places) {
  WideVector result(places.size(), values.limbs());
  for (std::size_t i = 0; i < places.size(); ++i) std::ranges::copy(values[places[i]], result[i].begin());
  return result;
}

std::vector<std::uint32_t> first_places(std::size_t count) {
  std::vector<std::uint32_t> places(count);
  std::iota(places.begin(), places.end(), 0U);
  return places;
}

/// Some channels of a map at some positions, over the inputs that these read.
struct SubMap {
  LinearMap map;
  std::vector<std::uint32_t> inputs;   ///< places of the operand, in the order of the sub-map's inputs
  std::vector<std::uint32_t> outputs;  ///< places of the result
};

SubMap sub_map(const LinearMap& whole, const std::vector<std::uint32_t>& channels,
               const std::vector<std::uint32_t>& positions) {
  SubMap part;
  part.map.channels = channels.size();
  part.map.positions = positions.size();
  part.map.bias = gather(whole.bias, channels);
  part.map.row_start = {0};
  std::map<std::uint32_t, std::uint32_t> taps, inputs;
  for (const std::uint32_t channel : channels) {
    for (std::uint32_t k = whole.row_start[channel]; k < whole.row_start[channel + 1]; ++k) {
      const auto [tap, is_new] = taps.emplace(whole.tap[k], static_cast<std::uint32_t>(taps.size()));
      part.map.tap.push_back(tap->second);
      part.map.weight.push_back(whole.weight[k]);
      if (!is_new) continue;
      for (const std::uint32_t position : positions) {
        const std::uint32_t input = whole.input_index[whole.tap[k] * whole.positions + position];
        if (input == LinearMap::kPadding) {
          part.map.input_index.push_back(input);
          continue;
        }
        const auto [place, first] = inputs.emplace(input, static_cast<std::uint32_t>(inputs.size()));
        if (first) part.inputs.push_back(input);
        part.map.input_index.push_back(place->second);
      }
    }
    part.map.row_start.push_back(static_cast<std::uint32_t>(part.map.tap.size()));
    for (const std::uint32_t position : positions) {
      part.outputs.push_back(static_cast<std::uint32_t>(channel * whole.positions + position));
    }
  }
  part.map.taps = taps.size();
  if (part.inputs.empty()) part.inputs = {0};  // without a weight: the biases alone
  part.map.inputs = part.inputs.size();
  return part;
}

}  // namespace

std::vector<std::uint32_t> sample_places(std::uint64_t size, std::size_t count, Rng& rng) {
  count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size));
  std::vector<std::uint32_t> places;
  for (std::size_t k = 0; k < count; ++k) {
    const std::uint64_t first = k * size / count, end = (k + 1) * size / count;
    places.push_back(static_cast<std::uint32_t>(first + rng.below(end - first)));
  }
  return places;
}

LayerSamples::LayerSamples(const models::IntegerNetwork& network,
                           std::shared_ptr<const paillier::KeyOwner> owner,
                           std::shared_ptr<const paillier::PublicContext> context,
                           const std::string& sign_test, Rng& rng)
    : network_(network),
      owner_(std::move(owner)),
      steps_(plan_steps(network)),
      evaluator_(std::move(context), rng),
      rng_(rng),
      step_(sign_test_named(sign_test), *owner_, evaluator_, rng) {
  check_plaintext_space(network, steps_, owner_->public_key().bits(), sign_test_named(sign_test));
}

std::size_t LayerSamples::check(std::size_t index, const std::vector<const WideVector*>& operands,
                                const WideVector& expected, std::size_t count) {
  const models::Node& node = network_.nodes.at(index);
  switch (node.kind) {
    case NodeKind::input: {
      const Places places = sample_places(expected.size(), count, rng_);
      compare(node, encrypt(gather(expected, places)), places, expected);
      return places.size();
    }
    case NodeKind::dense:
    case NodeKind::conv2d:
    case NodeKind::sum_pool2d:
      return check_sums(node, index, *operands.at(0), expected, count);
    case NodeKind::add:
    case NodeKind::concat:
      return check_joined(node, operands, expected, count);
    case NodeKind::max_pool2d:
      return check_pool(node, index, *operands.at(0), expected, count);
    case NodeKind::relu:
    case NodeKind::sign: {
      const Places places = sample_places(expected.size(), count, rng_);
      const unsigned bits = std::max(1U, network_.nodes[node.inputs.front()].bounds.bits);
      const StepKind kind = node.kind == NodeKind::relu ? StepKind::relu : StepKind::sign;
      compare(node, step_.run(kind, bits, encrypt(gather(*operands.at(0), places))), places, expected);
      return places.size();
    }
    case NodeKind::flatten:
    case NodeKind::rescale:  // plan_steps() refused the network
    case NodeKind::output:
      break;
  }
  return 0;
}

std::size_t LayerSamples::check_sums(const models::Node& node, std::size_t index, const WideVector& operand,
                                     const WideVector& expected, std::size_t count) {
  const LinearMap whole = linear_map(network_, index);
  const std::size_t positions =
      std::min(whole.positions, std::max(kPositions, (count + whole.channels - 1) / whole.channels));
  const std::size_t channels = std::max<std::size_t>(1, count / positions);
  const SubMap part = sub_map(whole, sample_places(whole.channels, channels, rng_),
                              sample_places(whole.positions, positions, rng_));
  const CiphertextBatch inputs = encrypt(gather(operand, part.inputs));
  compare(node, evaluator_.weighted_sum(paillier::WeightedSumPlan(part.map), inputs), part.outputs, expected);
  return part.outputs.size();
}

/// The same node over a few values of each operand.
std::size_t LayerSamples::check_joined(const models::Node& node,
                                       const std::vector<const WideVector*>& operands,
                                       const WideVector& expected, std::size_t count) {
  models::IntegerNetwork small;
  std::vector<CiphertextBatch> batches;
  const bool is_sum = node.kind == NodeKind::add;
  const Places common = is_sum ? sample_places(expected.size(), count, rng_) : Places{};
  Places outputs = common;
  std::size_t offset = 0;
  for (const WideVector* operand : operands) {
    const std::size_t share = std::max<std::size_t>(1, count / operands.size());
    const Places places = is_sum ? common : sample_places(operand->size(), share, rng_);
    batches.push_back(encrypt(gather(*operand, places)));
    models::Node source;
    source.shape = {static_cast<std::int64_t>(places.size()), 1, 1};
    small.nodes.push_back(source);
    if (is_sum) continue;
    for (const std::uint32_t place : places) outputs.push_back(static_cast<std::uint32_t>(offset + place));
    offset += operand->size();
  }
  models::Node copy;
  copy.kind = node.kind;
  copy.multipliers = node.multipliers;
  std::vector<const CiphertextBatch*> pointers;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    copy.inputs.push_back(k);
    pointers.push_back(&batches[k]);
  }
  small.nodes.push_back(copy);
  compare(node, LinearLayer(small, operands.size()).evaluate(evaluator_, pointers), outputs, expected);
  return outputs.size();
}

std::size_t LayerSamples::check_pool(const models::Node& node, std::size_t index, const WideVector& operand,
                                     const WideVector& expected, std::size_t count) {
  const Tournament tournament = plan_tournament(node, network_.nodes[node.inputs.front()].shape);
  const auto step = std::ranges::find_if(steps_, [&](const Step& s) { return s.node == index; });
  WideVector values = operand;
  std::size_t compared = 0;
  for (const Tournament::Level& level : tournament.levels) {
    compared += check_level(node, level, values, step->bits, count);
    WideVector next(level.left.size() + level.kept.size(), values.limbs());
    for (std::size_t i = 0; i < level.left.size(); ++i) {
      const bool left = WideVector::compare(values, level.left[i], values, level.right[i]) >= 0;
      std::ranges::copy(std::as_const(values)[left ? level.left[i] : level.right[i]], next[i].begin());
    }
    for (std::size_t i = 0; i < level.kept.size(); ++i) {
      std::ranges::copy(std::as_const(values)[level.kept[i]], next[level.left.size() + i].begin());
    }
    values = std::move(next);
  }
  if (!(gather(values, tournament.result) == expected)) {
    throw CheckError("verify.mismatch", "node " + node.name + ": its tournament gives other maxima");
  }
  return compared;
}

std::size_t LayerSamples::check_level(const models::Node& node, const Tournament::Level& level,
                                      const WideVector& values, unsigned bits, std::size_t count) {
  const Places places = sample_places(level.left.size(), count, rng_);
  const auto pairs = static_cast<std::uint32_t>(places.size());
  Tournament::Level small;
  Places used;
  for (const std::uint32_t place : places) used.push_back(level.left[place]);
  for (const std::uint32_t place : places) used.push_back(level.right[place]);
  small.left = first_places(pairs);
  for (std::uint32_t i = 0; i < pairs; ++i) small.right.push_back(pairs + i);
  const WideVector plain = gather(values, used);
  const CiphertextBatch batch = encrypt(plain);
  const CiphertextBatch relu =
      step_.run(StepKind::max_pool, bits, differences(evaluator_, small, 0, pairs, batch));
  WideVector expected(pairs, plain.limbs());
  for (std::uint32_t i = 0; i < pairs; ++i) {
    const bool left = WideVector::compare(plain, i, plain, pairs + i) >= 0;
    std::ranges::copy(plain[left ? i : pairs + i], expected[i].begin());
  }
  compare(node, winners(evaluator_, small, 0, relu, batch), first_places(pairs), expected);
  return pairs;
}

CiphertextBatch LayerSamples::encrypt(const WideVector& values) const {
  Bytes wire;
  owner_->encrypt(values, wire);
  return evaluator_.parse(wire, values.size());
}

void LayerSamples::compare(const models::Node& node, const CiphertextBatch& computed, const Places& places,
                           const WideVector& expected) const {
  Bytes wire;
  evaluator_.serialise(computed, wire);
  // Wide enough for any plaintext, so that a wrong value is shown and not refused as too large.
  const WideVector found =
      owner_->decrypt(wire, computed.size(), WideVector::limbs_for_bits(owner_->public_key().bits()));
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (WideVector::compare(found, i, expected, places[i]) == 0) continue;
    throw CheckError("verify.mismatch", "node " + node.name + ", element " + std::to_string(places[i]) +
                                            ": " + found.to_decimal(i) + " under encryption, " +
                                            expected.to_decimal(places[i]) + " in plaintext");
  }
}

}  // namespace popcorn::protocols
