#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "models/evaluation/paired_layer.h"
#include "models/evaluation/partial_sums.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "models/network/sliding_window.h"

namespace popcorn::models {

namespace {

/// Images evaluated together; the innermost index of every tensor, so that all loops run over contiguous
/// lanes.
using kernels::kLanes;

/// Of double, or of std::int32_t where every sum fits.
template <typename Number>
using Tensor = std::vector<Number>;

/// A non-zero weight: input channel, place in the window, value.
template <typename Number>
struct Tap {
  std::int64_t channel;
  std::int64_t row;
  std::int64_t column;
  Number weight;
};

/// dense or conv2d with its non-zero weights, output channel after output channel.
template <typename Number>
struct LinearTaps {
  std::vector<Tap<Number>> taps;
  std::vector<std::size_t> first;  ///< taps of output o: [first[o], first[o + 1])
  std::vector<Number> bias;
};

template <typename Number>
LinearTaps<Number> linear_taps(const Node& node, const Shape& input) {
  LinearTaps<Number> result;
  const std::int64_t per_group = input.channels / node.groups;
  const std::int32_t* weight = node.weights.data();
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    result.first.push_back(result.taps.size());
    const std::int64_t group = output / (node.shape.channels / node.groups);
    for (std::int64_t channel = group * per_group; channel < (group + 1) * per_group; ++channel) {
      for (std::int64_t row = 0; row < node.window.kernel_height; ++row) {
        for (std::int64_t column = 0; column < node.window.kernel_width; ++column, ++weight) {
          if (*weight != 0) result.taps.push_back({channel, row, column, static_cast<Number>(*weight)});
        }
      }
    }
    result.bias.push_back(static_cast<Number>(node.bias.to_double(static_cast<std::size_t>(output))));
  }
  result.first.push_back(result.taps.size());
  return result;
}

template <typename Number>
void add_scaled(Number* y, const Number* x, Number factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

/// One output row at a time, so that it stays in the first-level cache for all its taps.
template <typename Number>
void linear(const Node& node, const Shape& input, const LinearTaps<Number>& layer, const Tensor<Number>& x,
            Tensor<Number>& y) {
  const Axis rows = vertical_axis(node.window, input, node.shape);
  const Axis columns = horizontal_axis(node.window, input, node.shape);
  std::vector<Range> reach;
  for (std::int64_t tap = 0; tap < columns.kernel; ++tap) reach.push_back(columns.outputs_of_tap(tap));
  const std::size_t row_size = static_cast<std::size_t>(node.shape.width) * kLanes;
  Number* out = y.data();
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    const auto o = static_cast<std::size_t>(output);
    for (std::int64_t row = 0; row < node.shape.height; ++row, out += row_size) {
      std::fill_n(out, row_size, layer.bias[o]);
      for (std::size_t t = layer.first[o]; t < layer.first[o + 1]; ++t) {
        const Tap<Number>& tap = layer.taps[t];
        const std::int64_t from_row = rows.input_at(row, tap.row);
        if (from_row < 0 || from_row >= input.height) continue;
        const Range range = reach[static_cast<std::size_t>(tap.column)];
        if (range.size() == 0) continue;
        const std::int64_t from =
            (tap.channel * input.height + from_row) * input.width + columns.input_at(range.begin, tap.column);
        const Number* in = x.data() + static_cast<std::size_t>(from) * kLanes;
        Number* to = out + static_cast<std::size_t>(range.begin) * kLanes;
        if (columns.stride == 1) {
          add_scaled(to, in, tap.weight, static_cast<std::size_t>(range.size()) * kLanes);
          continue;
        }
        for (std::int64_t k = 0; k < range.size(); ++k) {
          add_scaled(to + k * static_cast<std::int64_t>(kLanes),
                     in + k * columns.stride * static_cast<std::int64_t>(kLanes), tap.weight, kLanes);
        }
      }
    }
  }
}

template <typename Number>
constexpr Number kLeast = std::is_floating_point_v<Number> ? -std::numeric_limits<Number>::infinity()
                                                           : std::numeric_limits<Number>::min();

/// `out` combined with the values of a row of the window.
template <bool kLargest, typename Number>
void pool_row(const Number* in, std::int64_t taps, std::int64_t step, Number* out) {
  for (std::int64_t j = 0; j < taps; ++j, in += step * static_cast<std::int64_t>(kLanes)) {
    for (std::size_t k = 0; k < kLanes; ++k) out[k] = kLargest ? std::max(out[k], in[k]) : out[k] + in[k];
  }
}

template <bool kLargest, typename Number>
void pool(const Node& node, const Shape& input, const Tensor<Number>& x, Tensor<Number>& y) {
  const Axis rows = vertical_axis(node.window, input, node.shape);
  const Axis columns = horizontal_axis(node.window, input, node.shape);
  Number* out = y.data();
  for (std::int64_t channel = 0; channel < node.shape.channels; ++channel) {
    for (std::int64_t row = 0; row < node.shape.height; ++row) {
      const Range row_taps = rows.taps_of_output(row);
      for (std::int64_t column = 0; column < node.shape.width; ++column, out += kLanes) {
        const Range column_taps = columns.taps_of_output(column);
        std::fill_n(out, kLanes, kLargest ? kLeast<Number> : Number{0});
        for (std::int64_t i = row_taps.begin; i < row_taps.end; ++i) {
          const std::int64_t line = (channel * input.height + rows.input_at(row, i)) * input.width;
          const std::int64_t from = line + columns.input_at(column, column_taps.begin);
          pool_row<kLargest>(x.data() + static_cast<std::size_t>(from) * kLanes, column_taps.size(),
                             columns.dilation, out);
        }
      }
    }
  }
}

/// Images of one block: independent roundings for each; only `lanes` of them are there.
struct Block {
  const EvaluationOptions& options;
  std::uint64_t first_image;
  std::size_t lanes;
};

/// Half a unit is one addend for all.
void rescale_nearest(const Node& node, const Tensor<std::int32_t>& x, Tensor<std::int32_t>& y) {
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width) * kLanes;
  for (std::size_t first = 0; first < y.size(); first += plane) {
    const auto shift = static_cast<unsigned>(node.shift(first / plane));
    const auto half = static_cast<std::int32_t>(half_unit(shift));
    for (std::size_t i = first; i < first + plane; ++i) y[i] = (x[i] + half) >> shift;
  }
}

template <typename Number>
void rescale(const IntegerNetwork& network, std::size_t index, const Tensor<Number>& x, const Block& block,
             Tensor<Number>& y) {
  const Node& node = network.nodes[index];
  if constexpr (std::is_same_v<Number, std::int32_t>) {
    if (block.options.rounding.mode() == RoundingMode::nearest) return rescale_nearest(node, x, y);
  }
  std::vector<Rounding::Stream> streams;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    streams.push_back(block.options.rounding.stream(block.first_image + lane, index));
  }
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
  for (std::size_t i = 0; i < y.size() / kLanes; ++i) {
    const auto shift = static_cast<unsigned>(node.shift(i / plane));
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<std::int64_t>(x[i * kLanes + lane]);
      y[i * kLanes + lane] = static_cast<Number>(drop_digits(value, shift, streams[lane].addend(i, shift)));
    }
  }
}

template <typename Number>
std::uint64_t count_outside(const Number* values, std::size_t count, Number low, Number high) {
  std::uint64_t outside = 0;
  for (std::size_t i = 0; i < count; ++i) outside += values[i] < low || values[i] > high ? 1 : 0;
  return outside;
}

/// Of `count` values of all images, those of images that are there.
template <typename Number>
std::uint64_t count_outside(const Number* values, std::size_t count, std::size_t lanes, Number low,
                            Number high) {
  if (lanes == kLanes) return count_outside(values, count * kLanes, low, high);
  std::uint64_t outside = 0;
  for (std::size_t i = 0; i < count; ++i) outside += count_outside(values + i * kLanes, lanes, low, high);
  return outside;
}

/// Ends beyond the numbers' own range are no limits.
template <typename Number>
Number as_limit(std::int64_t end) {
  if constexpr (std::is_floating_point_v<Number>) {
    return static_cast<Number>(end);
  } else {
    using Limits = std::numeric_limits<Number>;
    return static_cast<Number>(std::clamp<std::int64_t>(end, Limits::min(), Limits::max()));
  }
}

template <typename Number>
void count_operands(const IntegerNetwork& network, std::size_t index, const Tensor<Number>& x,
                    const Block& block) {
  const Shape& shape = network.nodes[network.nodes[index].inputs.front()].shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::uint64_t beyond = 0;
  const std::size_t values = x.size() / kLanes;
  for (std::size_t first = 0; first < values; first += plane) {
    const auto range = step_range(network, index, first / plane, block.options.rounding.mode());
    if (!range) return;
    beyond += count_outside(x.data() + first * kLanes, plane, block.lanes, as_limit<Number>(range->low),
                            as_limit<Number>(range->high));
  }
  block.options.counts->add(index, values * block.lanes, beyond);
}

/// wrap_to_ring() in double precision: exact for whole numbers below 2^53.
void wrap(unsigned bits, Tensor<double>& y) {
  const double size = std::ldexp(1.0, static_cast<int>(bits)), end = size / 2;
  for (double& value : y) value -= size * std::floor((value + end) / size);
}

void wrap(unsigned bits, Tensor<std::int64_t>& y) {
  for (std::int64_t& value : y) value = wrap_to_ring(value, bits);
}

void wrap(unsigned bits, Tensor<std::int32_t>& y) {
  constexpr unsigned kWidth = 32;
  if (bits >= kWidth) return;
  const unsigned unused = kWidth - bits;
  for (std::int32_t& value : y)
    value = static_cast<std::int32_t>(static_cast<std::uint32_t>(value) << unused) >> unused;
}

template <typename Number>
void count_results(const IntegerNetwork& network, std::size_t index, const Tensor<Number>& y,
                   const Block& block) {
  const std::int64_t end = std::int64_t{1} << (network.nodes[index].ring_bits - 1);
  const std::size_t values = y.size() / kLanes;
  block.options.counts->add(
      index, values * block.lanes,
      count_outside(y.data(), values, block.lanes, as_limit<Number>(-end), as_limit<Number>(end - 1)));
}

/// Least and largest of the lanes in use, and 0.
template <typename Number>
ValueRange reached_by(const Number* values, std::size_t count, std::size_t lanes) {
  Number least = 0, largest = 0;
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      least = std::min(least, values[i + lane]);
      largest = std::max(largest, values[i + lane]);
    }
  }
  return {static_cast<std::int64_t>(least), static_cast<std::int64_t>(largest)};
}

template <typename Number>
void note_extremes(std::size_t index, const Tensor<Number>& y, const Block& block) {
  const ValueRange reached = reached_by(y.data(), y.size(), block.lanes);
  block.options.extremes->add(index, reached.low, reached.high);
}

/// Of a pool: its operand as the step on shares pools it, without the digits that the rescale behind drops.
template <typename Number>
void note_pooled(const IntegerNetwork& network, std::size_t index, const Tensor<Number>& x,
                 const Block& block) {
  const Shape& shape = network.nodes[network.nodes[index].inputs.front()].shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width) * kLanes;
  std::int64_t magnitude = 0;
  for (std::size_t first = 0; first < x.size(); first += plane) {
    const ValueRange reached = reached_by(x.data() + first, plane, block.lanes);
    const unsigned t = dropped_digits(network, index, first / plane);
    magnitude = std::max({magnitude, -(reached.low >> t), drop_digits(reached.high, t, low_digits(t))});
  }
  block.options.extremes->add_operand(index, magnitude);
}

template <typename Number>
void rectify(const Tensor<Number>& x, Tensor<Number>& y) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::max(x[i], Number{0});
}

bool has_sums_of(const IntegerNetwork& network, unsigned bits) {
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (partial_sum_bits(network, i) > bits) return false;
  }
  return true;
}

bool is_exact_in_double(const IntegerNetwork& network) {
  constexpr unsigned kMantissaBits = 53;
  return has_sums_of(network, kMantissaBits);
}

/// Of sums in 32 bits: a bit is left for what a rounding adds.
constexpr unsigned kSmallBits = 30;

/// Sums that 32 bits need not hold, results that they do, as a ring says.
bool is_wide_in_small_ring(const IntegerNetwork& network, std::size_t index) {
  constexpr unsigned kWideBits = 53;  // biases come as double
  const Node& node = network.nodes[index];
  const bool sums =
      takes_weights(node.kind) || takes_multipliers(node.kind) || node.kind == NodeKind::sum_pool2d;
  const unsigned bits = partial_sum_bits(network, index);
  return sums && bits > kSmallBits && bits <= kWideBits && node.ring_bits != 0 &&
         node.ring_bits <= kSmallBits;
}

bool fits_32_bits(const IntegerNetwork& network) {
  constexpr std::int64_t kLargestTensor = std::int64_t{1} << 27;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    const bool shifts_fit = std::ranges::all_of(
        node.shifts, [](std::int64_t shift) { return shift <= static_cast<std::int64_t>(kSmallBits); });
    if (!shifts_fit || node.shape.size() > kLargestTensor) return false;
    if (partial_sum_bits(network, i) > kSmallBits && !is_wide_in_small_ring(network, i)) return false;
  }
  return true;
}

void combine_into(const Node& node, const auto& operands, auto& y) {
  using Number = std::remove_reference_t<decltype(y[0])>;
  Number* to = y.data();
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Tensor<Number>& x = operands[node.inputs[k]];
    add_scaled(to, x.data(), static_cast<Number>(node.multipliers[k]), x.size());
    if (node.kind == NodeKind::concat) to += x.size();
  }
}

/// The network with all its images' values as one kind of number.
template <typename Number>
class LaneNetwork {
 public:
  explicit LaneNetwork(const IntegerNetwork& network)
      : network_(network),
        linear_layers_(network.nodes.size()),
        paired_layers_(network.nodes.size()),
        wide_layers_(network.nodes.size()),
        wide_(network.nodes.size()),
        last_reader_(network.nodes.size(), network.nodes.size()) {
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const Node& node = network.nodes[i];
      for (const std::size_t operand : node.inputs) last_reader_[operand] = i;
      wide_[i] = std::is_same_v<Number, std::int32_t> && is_wide_in_small_ring(network, i);
      if (takes_weights(node.kind)) add_layer(i);
    }
  }

  /// Output of up to kLanes images; `inputs` is laid out lane by lane.
  Tensor<Number> evaluate(Tensor<Number> inputs, const Block& block) const {
    std::vector<Tensor<Number>> outputs(network_.nodes.size());
    outputs[0] = std::move(inputs);
    for (std::size_t i = 1; i < network_.nodes.size(); ++i) {
      outputs[i] = evaluate_node(i, outputs, block);
      for (const std::size_t operand : network_.nodes[i].inputs) {
        if (last_reader_[operand] == i) Tensor<Number>().swap(outputs[operand]);
      }
    }
    return std::move(outputs.back());
  }

 private:
  void add_layer(std::size_t index) {
    const Node& node = network_.nodes[index];
    const Shape& input = network_.nodes[node.inputs.front()].shape;
    if (is_wide(index)) {
      wide_layers_[index] = linear_taps<std::int64_t>(node, input);
    } else if (std::is_same_v<Number, std::int32_t> && PairedLayer::fits(network_, index)) {
      paired_layers_[index].emplace(node, input);
    } else {
      linear_layers_[index] = linear_taps<Number>(node, input);
    }
  }

  bool is_wide(std::size_t index) const { return wide_[index]; }

  /// In 64 bits until the ring.
  void wide_node(std::size_t index, const std::vector<Tensor<Number>>& outputs, const Block& block,
                 Tensor<Number>& y) const {
    const Node& node = network_.nodes[index];
    std::vector<Tensor<std::int64_t>> operands(outputs.size());
    for (const std::size_t k : node.inputs) operands[k].assign(outputs[k].begin(), outputs[k].end());
    const Tensor<std::int64_t>& x = operands[node.inputs.front()];
    const Shape& input = network_.nodes[node.inputs.front()].shape;
    Tensor<std::int64_t> sums(y.size());
    if (takes_weights(node.kind)) linear(node, input, wide_layers_[index], x, sums);
    if (takes_multipliers(node.kind)) combine_into(node, operands, sums);
    if (node.kind == NodeKind::sum_pool2d) pool<false>(node, input, x, sums);
    finish_in_ring(index, sums, block);
    std::ranges::transform(sums, y.begin(), [](std::int64_t value) { return static_cast<Number>(value); });
  }

  template <typename Sum>
  void finish_in_ring(std::size_t index, Tensor<Sum>& y, const Block& block) const {
    if (block.options.extremes != nullptr) note_extremes(index, y, block);
    const unsigned bits = network_.nodes[index].ring_bits;
    if (bits == 0) return;
    if (block.options.counts != nullptr) count_results(network_, index, y, block);
    wrap(bits, y);
  }

  void layer(std::size_t index, const Tensor<Number>& x, Tensor<Number>& y) const {
    if constexpr (std::is_same_v<Number, std::int32_t>) {
      if (paired_layers_[index]) return paired_layers_[index]->run(x, y);
    }
    const Node& node = network_.nodes[index];
    linear(node, network_.nodes[node.inputs.front()].shape, linear_layers_[index], x, y);
  }

  Tensor<Number> evaluate_node(std::size_t index, const std::vector<Tensor<Number>>& outputs,
                               const Block& block) const {
    const Node& node = network_.nodes[index];
    const Tensor<Number>& x = outputs[node.inputs.front()];
    Tensor<Number> y(static_cast<std::size_t>(node.shape.size()) * kLanes);
    if (block.options.counts != nullptr) count_operands(network_, index, x, block);
    if (block.options.extremes != nullptr && node.kind == NodeKind::max_pool2d)
      note_pooled(network_, index, x, block);
    if (is_wide(index)) {
      wide_node(index, outputs, block, y);
    } else {
      compute(index, outputs, block, y);
      finish_in_ring(index, y, block);
    }
    if (node.rectify) rectify(y, y);
    return y;
  }

  void compute(std::size_t index, const std::vector<Tensor<Number>>& outputs, const Block& block,
               Tensor<Number>& y) const {
    const Node& node = network_.nodes[index];
    const Tensor<Number>& x = outputs[node.inputs.front()];
    const Shape& input = network_.nodes[node.inputs.front()].shape;
    switch (node.kind) {
      case NodeKind::dense:
      case NodeKind::conv2d:
        return layer(index, x, y);
      case NodeKind::sum_pool2d:
        return pool<false>(node, input, x, y);
      case NodeKind::max_pool2d:
        return pool<true>(node, input, x, y);
      case NodeKind::relu:
        return rectify(x, y);
      case NodeKind::rescale:
        return rescale(network_, index, x, block, y);
      case NodeKind::sign:
        std::ranges::transform(x, y.begin(), [](Number value) { return Number(value < 0 ? -1 : 1); });
        return;
      case NodeKind::add:
      case NodeKind::concat:
        return combine_into(node, outputs, y);
      default:
        y = x;
    }
  }

  const IntegerNetwork& network_;
  std::vector<LinearTaps<Number>> linear_layers_;
  std::vector<std::optional<PairedLayer>> paired_layers_;
  std::vector<LinearTaps<std::int64_t>> wide_layers_;
  std::vector<bool> wide_;  ///< of these, see is_wide_in_small_ring()
  std::vector<std::size_t> last_reader_;
};

/// Images [first, first + lanes) lane by lane, evaluated, and their outputs image by image.
template <typename Number>
void evaluate_block(const LaneNetwork<Number>& network, const std::vector<std::int16_t>& inputs,
                    std::size_t first, const Block& block, std::size_t input_size,
                    std::vector<double>& logits, std::size_t output_size) {
  Tensor<Number> values(input_size * kLanes);
  for (std::size_t lane = 0; lane < block.lanes; ++lane) {
    for (std::size_t i = 0; i < input_size; ++i) {
      values[i * kLanes + lane] = static_cast<Number>(inputs[(first + lane) * input_size + i]);
    }
  }
  const Tensor<Number> result = network.evaluate(std::move(values), block);
  for (std::size_t lane = 0; lane < block.lanes; ++lane) {
    for (std::size_t i = 0; i < output_size; ++i) {
      logits[(first + lane) * output_size + i] = static_cast<double>(result[i * kLanes + lane]);
    }
  }
}

}  // namespace

struct FastEvaluator::Plan {
  explicit Plan(const IntegerNetwork& network) {
    if (fits_32_bits(network)) {
      small.emplace(network);
    } else {
      wide.emplace(network);
    }
  }

  std::optional<LaneNetwork<std::int32_t>> small;
  std::optional<LaneNetwork<double>> wide;
};

FastEvaluator::FastEvaluator(const IntegerNetwork& network)
    : network_(network), plan_(std::make_shared<const Plan>(network)), exact_(is_exact_in_double(network)) {
  constexpr unsigned kRangeBits = 1000;
  for (const Node& node : network.nodes) {
    if (node.bounds.bits > kRangeBits) {
      throw InputError("model.value_too_large", "node '" + node.name + "': values of " +
                                                    std::to_string(node.bounds.bits) +
                                                    " bits are too large for the fast evaluator");
    }
  }
}

std::vector<double> FastEvaluator::run(const std::vector<std::int16_t>& inputs, std::size_t count,
                                       const EvaluationOptions& options) const {
  const auto input_size = static_cast<std::size_t>(network_.input().shape.size());
  const auto output_size = static_cast<std::size_t>(network_.output().shape.size());
  if (inputs.size() / input_size != count || inputs.size() % input_size != 0) {
    throw InputError("input.size", "expected " + std::to_string(count) + " inputs of " +
                                       std::to_string(input_size) + " values, found " +
                                       std::to_string(inputs.size()) + " values");
  }
  std::vector<double> logits(count * output_size);
  tbb::parallel_for(std::size_t{0}, (count + kLanes - 1) / kLanes, [&](std::size_t block_index) {
    const std::size_t first = block_index * kLanes;
    const std::size_t lanes = std::min(kLanes, count - first);
    const Block block{options, options.image + first, lanes};
    const auto evaluate = [&](const auto& network) {
      evaluate_block(network, inputs, first, block, input_size, logits, output_size);
    };
    plan_->small ? evaluate(*plan_->small) : evaluate(*plan_->wide);
  });
  return logits;
}

}  // namespace popcorn::models
