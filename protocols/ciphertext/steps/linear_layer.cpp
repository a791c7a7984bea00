#include "protocols/ciphertext/steps/linear_layer.h"

#include <string>
#include <utility>

#include "base/error.h"
#include "models/network/sliding_window.h"
#include "paillier/operation_costs.h"

namespace popcorn::protocols {

namespace {

using paillier::CiphertextBatch;
using paillier::LinearMap;

constexpr std::uint32_t kUnused = 0xffffffff;

/// Input place of one tap at one position, or kPadding outside the image.
std::uint32_t place_of(const models::Axis& rows, const models::Axis& columns, std::int64_t channel,
                       std::int64_t tap, std::int64_t position) {
  const std::int64_t row = rows.input_at(position / columns.output, tap / columns.kernel);
  const std::int64_t column = columns.input_at(position % columns.output, tap % columns.kernel);
  if (row < 0 || row >= rows.input || column < 0 || column >= columns.input) return LinearMap::kPadding;
  return static_cast<std::uint32_t>((channel * rows.input + row) * columns.input + column);
}

/// The weights of a dense layer or a convolution as rows of taps; numbers the taps that have a weight in the
/// order in which they first appear. Returns their original places: input channel · kernel size + kernel
/// place.
std::vector<std::int64_t> fill_rows(LinearMap& map, const models::Node& node, std::int64_t input_channels) {
  const std::int64_t kernel = node.window.kernel_height * node.window.kernel_width;
  const std::int64_t inputs_per_group = input_channels / node.groups;
  const std::int64_t outputs_per_group = node.shape.channels / node.groups;
  std::vector<std::uint32_t> number(static_cast<std::size_t>(input_channels * kernel), kUnused);
  std::vector<std::int64_t> used;
  const std::int32_t* weight = node.weights.data();
  map.row_start.push_back(0);
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    const std::int64_t first = output / outputs_per_group * inputs_per_group * kernel;
    for (std::int64_t tap = first; tap < first + inputs_per_group * kernel; ++tap, ++weight) {
      if (*weight == 0) continue;
      std::uint32_t& place = number[static_cast<std::size_t>(tap)];
      if (place == kUnused) {
        place = static_cast<std::uint32_t>(used.size());
        used.push_back(tap);
      }
      map.tap.push_back(place);
      map.weight.push_back(*weight);
    }
    map.row_start.push_back(static_cast<std::uint32_t>(map.tap.size()));
  }
  return used;
}

LinearMap weighted_map(const models::Node& node, const models::Shape& input) {
  const models::Axis rows = models::vertical_axis(node.window, input, node.shape);
  const models::Axis columns = models::horizontal_axis(node.window, input, node.shape);
  const std::int64_t positions = node.shape.height * node.shape.width;
  const std::int64_t kernel = rows.kernel * columns.kernel;
  LinearMap map;
  map.inputs = static_cast<std::size_t>(input.size());
  map.channels = static_cast<std::size_t>(node.shape.channels);
  map.positions = static_cast<std::size_t>(positions);
  map.plane = static_cast<std::size_t>(input.height * input.width);
  map.bias = node.bias;
  const std::vector<std::int64_t> used = fill_rows(map, node, input.channels);
  map.taps = used.size();
  map.input_index.reserve(map.taps * map.positions);
  for (const std::int64_t tap : used) {
    for (std::int64_t position = 0; position < positions; ++position) {
      map.input_index.push_back(place_of(rows, columns, tap / kernel, tap % kernel, position));
    }
  }
  return map;
}

/// One row of ones over the whole kernel; the channels of the tensor become further positions.
LinearMap pool_map(const models::Node& node, const models::Shape& input) {
  const models::Axis rows = models::vertical_axis(node.window, input, node.shape);
  const models::Axis columns = models::horizontal_axis(node.window, input, node.shape);
  const std::int64_t plane = node.shape.height * node.shape.width;
  LinearMap map;
  map.inputs = static_cast<std::size_t>(input.size());
  map.channels = 1;
  map.positions = static_cast<std::size_t>(node.shape.size());
  map.taps = static_cast<std::size_t>(rows.kernel * columns.kernel);
  map.row_start = {0, static_cast<std::uint32_t>(map.taps)};
  map.weight.assign(map.taps, 1);
  map.bias = WideVector(1, 1);
  map.input_index.reserve(map.taps * map.positions);
  for (std::uint32_t tap = 0; tap < map.taps; ++tap) {
    map.tap.push_back(tap);
    for (std::int64_t channel = 0; channel < node.shape.channels; ++channel) {
      for (std::int64_t position = 0; position < plane; ++position) {
        map.input_index.push_back(place_of(rows, columns, channel, tap, position));
      }
    }
  }
  return map;
}

bool has_plan(models::NodeKind kind) {
  return kind == models::NodeKind::dense || kind == models::NodeKind::conv2d ||
         kind == models::NodeKind::sum_pool2d;
}

CiphertextBatch sum(const paillier::Evaluator& evaluator, std::span<const CiphertextBatch* const> terms) {
  CiphertextBatch total = terms[0]->clone();
  for (std::size_t i = 1; i < terms.size(); ++i) total = evaluator.add(total, *terms[i]);
  return total;
}

}  // namespace

paillier::LinearMap linear_map(const models::IntegerNetwork& network, std::size_t index) {
  const models::Node& node = network.nodes[index];
  if (!has_plan(node.kind)) {
    throw Error("layer.kind", "node \"" + node.name + "\" is no dense, conv2d or sum_pool2d layer");
  }
  const models::Shape& input = network.nodes[node.inputs.front()].shape;
  return node.kind == models::NodeKind::sum_pool2d ? pool_map(node, input) : weighted_map(node, input);
}

bool LinearLayer::is_linear(models::NodeKind kind) noexcept {
  return has_plan(kind) || kind == models::NodeKind::add || kind == models::NodeKind::concat;
}

LinearLayer::LinearLayer(const models::IntegerNetwork& network, std::size_t index)
    : kind_(network.nodes[index].kind), multipliers_(network.nodes[index].multipliers) {
  for (const std::size_t operand : network.nodes[index].inputs) {
    operand_sizes_.push_back(static_cast<std::size_t>(network.nodes[operand].shape.size()));
  }
  if (has_plan(kind_)) plan_ = std::make_unique<paillier::WeightedSumPlan>(linear_map(network, index));
}

CiphertextBatch LinearLayer::evaluate(const paillier::Evaluator& evaluator,
                                      std::span<const CiphertextBatch* const> operands) const {
  if (plan_) return evaluator.weighted_sum(*plan_, *operands.front());
  std::vector<CiphertextBatch> multiples(operands.size());
  std::vector<const CiphertextBatch*> terms(operands.begin(), operands.end());
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (multipliers_[i] == 1) continue;
    multiples[i] = evaluator.scalar_multiply_public(*operands[i], multipliers_[i]);
    terms[i] = &multiples[i];
  }
  return kind_ == models::NodeKind::add ? sum(evaluator, terms) : CiphertextBatch::concat(terms);
}

LinearLayer::Cost LinearLayer::cost() const {
  if (plan_) return {plan_->cost().multiplications, plan_->cost().naive};
  Cost cost;
  for (std::size_t i = 0; i < operand_sizes_.size(); ++i) {
    if (multipliers_[i] != 1) {
      cost.multiplications += paillier::scalar_multiply_public_cost(operand_sizes_[i], multipliers_[i]);
    }
    if (kind_ == models::NodeKind::add && i > 0)
      cost.multiplications += paillier::add_cost(operand_sizes_[i]);
  }
  cost.naive_multiplications = cost.multiplications;
  return cost;
}

std::uint64_t LinearLayer::working_bytes(unsigned key_bits) const {
  if (plan_) return paillier::weighted_sum_bytes(*plan_, key_bits);
  std::uint64_t multiples = 0;
  std::uint64_t values = 0;
  for (std::size_t i = 0; i < operand_sizes_.size(); ++i) {
    if (multipliers_[i] != 1) multiples += paillier::batch_bytes(operand_sizes_[i], key_bits);
    values += operand_sizes_[i];
  }
  if (kind_ == models::NodeKind::add) {  // the sum so far and the next
    return multiples + 2 * paillier::batch_bytes(operand_sizes_.front(), key_bits);
  }
  return multiples + paillier::batch_bytes(values, key_bits) + values * sizeof(void*);
}

}  // namespace popcorn::protocols
