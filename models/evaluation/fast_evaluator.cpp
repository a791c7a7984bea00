#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "models/evaluation/partial_sums.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "models/network/sliding_window.h"

namespace popcorn::models {

namespace {

/// Images evaluated together; the innermost index of every tensor, so that all loops run over contiguous
/// lanes.
constexpr std::size_t kLanes = 8;

using Tensor = std::vector<double>;

/// A non-zero weight: input channel, place in the window, value.
struct Tap {
  std::int64_t channel;
  std::int64_t row;
  std::int64_t column;
  double weight;
};

/// dense or conv2d with its non-zero weights, output channel after output channel.
struct LinearTaps {
  std::vector<Tap> taps;
  std::vector<std::size_t> first;  ///< taps of output o: [first[o], first[o + 1])
  std::vector<double> bias;
};

LinearTaps linear_taps(const Node& node, const Shape& input) {
  LinearTaps result;
  const std::int64_t per_group = input.channels / node.groups;
  const std::int32_t* weight = node.weights.data();
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    result.first.push_back(result.taps.size());
    const std::int64_t group = output / (node.shape.channels / node.groups);
    for (std::int64_t channel = group * per_group; channel < (group + 1) * per_group; ++channel) {
      for (std::int64_t row = 0; row < node.window.kernel_height; ++row) {
        for (std::int64_t column = 0; column < node.window.kernel_width; ++column, ++weight) {
          if (*weight != 0) result.taps.push_back({channel, row, column, static_cast<double>(*weight)});
        }
      }
    }
    result.bias.push_back(node.bias.to_double(static_cast<std::size_t>(output)));
  }
  result.first.push_back(result.taps.size());
  return result;
}

void add_scaled(double* y, const double* x, double factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

/// One output row at a time, so that it stays in the first-level cache for all its taps.
void linear(const Node& node, const Shape& input, const LinearTaps& layer, const Tensor& x, Tensor& y) {
  const Axis rows = vertical_axis(node.window, input, node.shape);
  const Axis columns = horizontal_axis(node.window, input, node.shape);
  std::vector<Range> reach;
  for (std::int64_t tap = 0; tap < columns.kernel; ++tap) reach.push_back(columns.outputs_of_tap(tap));
  const std::size_t row_size = static_cast<std::size_t>(node.shape.width) * kLanes;
  double* out = y.data();
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    const auto o = static_cast<std::size_t>(output);
    for (std::int64_t row = 0; row < node.shape.height; ++row, out += row_size) {
      std::fill_n(out, row_size, layer.bias[o]);
      for (std::size_t t = layer.first[o]; t < layer.first[o + 1]; ++t) {
        const Tap& tap = layer.taps[t];
        const std::int64_t from_row = rows.input_at(row, tap.row);
        if (from_row < 0 || from_row >= input.height) continue;
        const Range range = reach[static_cast<std::size_t>(tap.column)];
        if (range.size() == 0) continue;
        const std::int64_t from =
            (tap.channel * input.height + from_row) * input.width + columns.input_at(range.begin, tap.column);
        const double* in = x.data() + static_cast<std::size_t>(from) * kLanes;
        double* to = out + static_cast<std::size_t>(range.begin) * kLanes;
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

void pool(const Node& node, const Shape& input, const Tensor& x, Tensor& y) {
  const Axis rows = vertical_axis(node.window, input, node.shape);
  const Axis columns = horizontal_axis(node.window, input, node.shape);
  const bool largest = node.kind == NodeKind::max_pool2d;
  double* out = y.data();
  for (std::int64_t channel = 0; channel < node.shape.channels; ++channel) {
    for (std::int64_t row = 0; row < node.shape.height; ++row) {
      const Range row_taps = rows.taps_of_output(row);
      for (std::int64_t column = 0; column < node.shape.width; ++column, out += kLanes) {
        const Range column_taps = columns.taps_of_output(column);
        std::fill_n(out, kLanes, largest ? -std::numeric_limits<double>::infinity() : 0.0);
        for (std::int64_t i = row_taps.begin; i < row_taps.end; ++i) {
          const std::int64_t line = (channel * input.height + rows.input_at(row, i)) * input.width;
          for (std::int64_t j = column_taps.begin; j < column_taps.end; ++j) {
            const double* in =
                x.data() + static_cast<std::size_t>(line + columns.input_at(column, j)) * kLanes;
            for (std::size_t k = 0; k < kLanes; ++k)
              out[k] = largest ? std::max(out[k], in[k]) : out[k] + in[k];
          }
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

void rescale(const IntegerNetwork& network, std::size_t index, const Tensor& x, const Block& block,
             Tensor& y) {
  const Node& node = network.nodes[index];
  std::vector<Rounding::Stream> streams;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    streams.push_back(block.options.rounding.stream(block.first_image + lane, index));
  }
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
  for (std::size_t i = 0; i < y.size() / kLanes; ++i) {
    const auto shift = static_cast<unsigned>(node.shift(i / plane));
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<std::int64_t>(x[i * kLanes + lane]);
      y[i * kLanes + lane] = static_cast<double>(drop_digits(value, shift, streams[lane].addend(i, shift)));
    }
  }
}

std::uint64_t count_outside(const double* values, std::size_t count, double low, double high) {
  std::uint64_t outside = 0;
  for (std::size_t i = 0; i < count; ++i) outside += values[i] < low || values[i] > high ? 1 : 0;
  return outside;
}

void count_operands(const IntegerNetwork& network, std::size_t index, const Tensor& x, const Block& block) {
  const Shape& shape = network.nodes[network.nodes[index].inputs.front()].shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::uint64_t beyond = 0;
  const std::size_t values = x.size() / kLanes;
  for (std::size_t first = 0; first < values; first += plane) {
    const auto range = step_range(network, index, first / plane, block.options.rounding.mode());
    if (!range) return;
    const auto low = static_cast<double>(range->low), high = static_cast<double>(range->high);
    for (std::size_t i = first; i < first + plane; ++i)
      beyond += count_outside(x.data() + i * kLanes, block.lanes, low, high);
  }
  block.options.counts->add(index, values * block.lanes, beyond);
}

/// wrap_to_ring() in double precision: exact for whole numbers below 2^53.
void wrap(const IntegerNetwork& network, std::size_t index, const Block& block, Tensor& y) {
  const auto bits = static_cast<int>(network.nodes[index].ring_bits);
  const double size = std::ldexp(1.0, bits), end = size / 2;
  std::uint64_t beyond = 0;
  for (std::size_t i = 0; i < y.size(); i += kLanes) {
    beyond += count_outside(y.data() + i, block.lanes, -end, end - 1);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      y[i + lane] -= size * std::floor((y[i + lane] + end) / size);
    }
  }
  if (block.options.counts != nullptr) {
    block.options.counts->add(index, y.size() / kLanes * block.lanes, beyond);
  }
}

void rectify(const Tensor& x, Tensor& y) {
  std::ranges::transform(x, y.begin(), [](double value) { return std::max(value, 0.0); });
}

bool is_exact_in_double(const IntegerNetwork& network) {
  constexpr unsigned kMantissaBits = 53;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (partial_sum_bits(network, i) > kMantissaBits) return false;
  }
  return true;
}

}  // namespace

struct FastEvaluator::Plan {
  explicit Plan(const IntegerNetwork& network)
      : linear_layers(network.nodes.size()), last_reader(network.nodes.size(), network.nodes.size()) {
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const Node& node = network.nodes[i];
      for (const std::size_t operand : node.inputs) last_reader[operand] = i;
      if (takes_weights(node.kind)) {
        linear_layers[i] = linear_taps(node, network.nodes[node.inputs.front()].shape);
      }
    }
  }

  Tensor evaluate_node(const IntegerNetwork& network, std::size_t index, const std::vector<Tensor>& outputs,
                       const Block& block) const {
    const Node& node = network.nodes[index];
    const Tensor& x = outputs[node.inputs.front()];
    const Shape& input = network.nodes[node.inputs.front()].shape;
    Tensor y(static_cast<std::size_t>(node.shape.size()) * kLanes);
    if (block.options.counts != nullptr) count_operands(network, index, x, block);
    switch (node.kind) {
      case NodeKind::dense:
      case NodeKind::conv2d:
        linear(node, input, linear_layers[index], x, y);
        break;
      case NodeKind::sum_pool2d:
      case NodeKind::max_pool2d:
        pool(node, input, x, y);
        break;
      case NodeKind::relu:
        rectify(x, y);
        break;
      case NodeKind::rescale:
        rescale(network, index, x, block, y);
        break;
      case NodeKind::sign:
        std::ranges::transform(x, y.begin(), [](double value) { return value < 0 ? -1.0 : 1.0; });
        break;
      case NodeKind::add:
      case NodeKind::concat:
        combine(node, outputs, y);
        break;
      default:
        y = x;
        break;
    }
    if (node.ring_bits != 0) wrap(network, index, block, y);
    if (node.rectify) rectify(y, y);
    return y;
  }

  static void combine(const Node& node, const std::vector<Tensor>& outputs, Tensor& y) {
    double* to = y.data();
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const Tensor& x = outputs[node.inputs[k]];
      add_scaled(to, x.data(), static_cast<double>(node.multipliers[k]), x.size());
      if (node.kind == NodeKind::concat) to += x.size();
    }
  }

  /// Output of up to kLanes images; `inputs` is laid out lane by lane.
  Tensor evaluate(const IntegerNetwork& network, Tensor inputs, const Block& block) const {
    std::vector<Tensor> outputs(network.nodes.size());
    outputs[0] = std::move(inputs);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
      outputs[i] = evaluate_node(network, i, outputs, block);
      for (const std::size_t operand : network.nodes[i].inputs) {
        if (last_reader[operand] == i) Tensor().swap(outputs[operand]);
      }
    }
    return std::move(outputs.back());
  }

  std::vector<LinearTaps> linear_layers;
  std::vector<std::size_t> last_reader;
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
    Tensor block(input_size * kLanes);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      for (std::size_t i = 0; i < input_size; ++i) {
        block[i * kLanes + lane] = inputs[(first + lane) * input_size + i];
      }
    }
    const Tensor result =
        plan_->evaluate(network_, std::move(block), {options, options.image + first, lanes});
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      for (std::size_t i = 0; i < output_size; ++i) {
        logits[(first + lane) * output_size + i] = result[i * kLanes + lane];
      }
    }
  });
  return logits;
}

}  // namespace popcorn::models
