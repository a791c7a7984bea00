#include "models/evaluation/plaintext_evaluator.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "models/network/sliding_window.h"
#include "models/network/wide_arithmetic.h"

namespace popcorn::models {

WideVector modulo_width(const WideVector& values, std::size_t limbs) {
  if (values.limbs() == limbs) return values;
  WideVector result(values.size(), limbs);
  const std::size_t kept = std::min(limbs, values.limbs());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::span<std::uint64_t> to = result[i];
    std::ranges::copy(values[i].first(kept), to.begin());
    std::ranges::fill(to.subspan(kept), values.is_negative(i) ? ~std::uint64_t{0} : 0);
  }
  return result;
}

namespace {

std::size_t result_limbs(const Node& node) {
  return WideVector::limbs_for_bits(node.bounds.bits);
}

/// y[i] += weight·x[i·stride] for `count` values of a row.
template <std::size_t kLimbs>
void accumulate_row(std::uint64_t* y, const std::uint64_t* x, std::size_t count, std::size_t stride,
                    std::int32_t weight, std::size_t limbs) {
  const std::size_t width = kLimbs != 0 ? kLimbs : limbs;
  const std::uint64_t magnitude =
      static_cast<std::uint64_t>(weight < 0 ? -static_cast<std::int64_t>(weight) : weight);
  for (std::size_t i = 0; i < count; ++i) {
    if (weight > 0) {
      add_product<kLimbs>(y + i * width, x + i * stride * width, magnitude, limbs);
    } else {
      subtract_product<kLimbs>(y + i * width, x + i * stride * width, magnitude, limbs);
    }
  }
}

/// dense and conv2d: one output channel after the other, one non-zero weight at a time over whole rows.
class LinearLayer {
 public:
  LinearLayer(const Node& node, const Shape& input, const WideVector& x)
      : node_(node),
        input_(input),
        rows_(vertical_axis(node.window, input, node.shape)),
        columns_(horizontal_axis(node.window, input, node.shape)),
        limbs_(result_limbs(node)),
        x_(modulo_width(x, limbs_)),
        bias_(modulo_width(node.bias, limbs_)) {}

  WideVector evaluate() const {
    WideVector y(static_cast<std::size_t>(node_.shape.size()), limbs_);
    parallel_indices(static_cast<std::size_t>(node_.shape.channels), [&](std::size_t output) {
      with_limbs(limbs_, [&](auto width) { channel<width()>(static_cast<std::int64_t>(output), y); });
    });
    return y;
  }

 private:
  template <std::size_t kLimbs>
  void channel(std::int64_t output, WideVector& y) const {
    const auto plane = static_cast<std::size_t>(node_.shape.height * node_.shape.width);
    for (std::size_t i = 0; i < plane; ++i) {
      std::ranges::copy(bias_[static_cast<std::size_t>(output)],
                        y[static_cast<std::size_t>(output) * plane + i].begin());
    }
    const std::int64_t inputs_per_group = input_.channels / node_.groups;
    const std::int64_t first = output / (node_.shape.channels / node_.groups) * inputs_per_group;
    const std::int64_t taps = columns_.kernel * rows_.kernel;
    const std::int32_t* weight = node_.weights.data() + output * inputs_per_group * taps;
    for (std::int64_t channel = first; channel < first + inputs_per_group; ++channel) {
      for (std::int64_t tap = 0; tap < taps; ++tap, ++weight) {
        if (*weight != 0) add_tap<kLimbs>(output, channel, tap, *weight, y);
      }
    }
  }

  template <std::size_t kLimbs>
  void add_tap(std::int64_t output, std::int64_t channel, std::int64_t tap, std::int32_t weight,
               WideVector& y) const {
    const std::int64_t tap_row = tap / columns_.kernel;
    const std::int64_t tap_column = tap % columns_.kernel;
    const Range rows = rows_.outputs_of_tap(tap_row);
    const Range columns = columns_.outputs_of_tap(tap_column);
    if (columns.size() == 0) return;
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const std::int64_t to = (output * node_.shape.height + row) * node_.shape.width + columns.begin;
      const std::int64_t from = (channel * input_.height + rows_.input_at(row, tap_row)) * input_.width +
                                columns_.input_at(columns.begin, tap_column);
      accumulate_row<kLimbs>(y.words().data() + static_cast<std::size_t>(to) * limbs_,
                             x_.words().data() + static_cast<std::size_t>(from) * limbs_,
                             static_cast<std::size_t>(columns.size()),
                             static_cast<std::size_t>(columns_.stride), weight, limbs_);
    }
  }

  const Node& node_;
  const Shape input_;
  const Axis rows_;
  const Axis columns_;
  const std::size_t limbs_;
  const WideVector x_;
  const WideVector bias_;
};

/// Calls visit(output index, input index) for every pair that meets inside the input, in output order.
template <typename Visit>
void for_each_window_value(const Node& node, const Shape& input, const Visit& visit) {
  const Axis rows = vertical_axis(node.window, input, node.shape);
  const Axis columns = horizontal_axis(node.window, input, node.shape);
  std::size_t output = 0;
  for (std::int64_t channel = 0; channel < node.shape.channels; ++channel) {
    for (std::int64_t row = 0; row < node.shape.height; ++row) {
      const Range row_taps = rows.taps_of_output(row);
      for (std::int64_t column = 0; column < node.shape.width; ++column, ++output) {
        const Range column_taps = columns.taps_of_output(column);
        for (std::int64_t i = row_taps.begin; i < row_taps.end; ++i) {
          const std::int64_t line = (channel * input.height + rows.input_at(row, i)) * input.width;
          for (std::int64_t j = column_taps.begin; j < column_taps.end; ++j) {
            visit(output, static_cast<std::size_t>(line + columns.input_at(column, j)));
          }
        }
      }
    }
  }
}

WideVector sum_pool(const Node& node, const Shape& input, const WideVector& operand) {
  const std::size_t limbs = result_limbs(node);
  const WideVector x = modulo_width(operand, limbs);
  WideVector y(static_cast<std::size_t>(node.shape.size()), limbs);
  with_limbs(limbs, [&](auto width) {
    for_each_window_value(node, input, [&](std::size_t to, std::size_t from) {
      add_product<width()>(y[to].data(), x[from].data(), 1, limbs);
    });
  });
  return y;
}

WideVector max_pool(const Node& node, const Shape& input, const WideVector& x) {
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::size_t> largest(static_cast<std::size_t>(node.shape.size()), kNone);
  for_each_window_value(node, input, [&](std::size_t to, std::size_t from) {
    if (largest[to] == kNone || WideVector::compare(x, from, x, largest[to]) > 0) largest[to] = from;
  });
  WideVector y(largest.size(), x.limbs());
  for (std::size_t i = 0; i < largest.size(); ++i) std::ranges::copy(x[largest[i]], y[i].begin());
  return modulo_width(y, result_limbs(node));
}

WideVector relu(const Node& node, const WideVector& x) {
  WideVector y = modulo_width(x, result_limbs(node));
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (x.is_negative(i)) y.set_int64(i, 0);
  }
  return y;
}

WideVector sign(const WideVector& x) {
  WideVector y(x.size(), 1);
  for (std::size_t i = 0; i < y.size(); ++i) y.set_int64(i, x.is_negative(i) ? -1 : 1);
  return y;
}

WideVector add(const Node& node, const std::vector<const WideVector*>& operands) {
  const std::size_t limbs = result_limbs(node);
  WideVector y(static_cast<std::size_t>(node.shape.size()), limbs);
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const WideVector x = modulo_width(*operands[k], limbs);
    for (std::size_t i = 0; i < y.size(); ++i) {
      accumulate<0>(y[i].data(), x[i].data(), node.multipliers[k], limbs);
    }
  }
  return y;
}

WideVector concat(const Node& node, const std::vector<const WideVector*>& operands) {
  const std::size_t limbs = result_limbs(node);
  WideVector y(static_cast<std::size_t>(node.shape.size()), limbs);
  std::size_t place = 0;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const WideVector x = modulo_width(*operands[k], limbs);
    for (std::size_t i = 0; i < x.size(); ++i, ++place) {
      accumulate<0>(y[place].data(), x[i].data(), node.multipliers[k], limbs);
    }
  }
  return y;
}

WideVector rescale(const IntegerNetwork& network, std::size_t index, const WideVector& x,
                   const EvaluationOptions& options) {
  const Node& node = network.nodes[index];
  const Rounding::Stream stream = options.rounding.stream(options.image, index);
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
  WideVector y(x.size(), 1);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const auto shift = static_cast<unsigned>(node.shift(i / plane));
    y.set_int64(i, drop_digits(x.to_int64(i), shift, stream.addend(i, shift)));
  }
  return y;
}

/// The results modulo the node's ring; `y` holds them modulo 2^64.
void wrap(const IntegerNetwork& network, std::size_t index, WideVector& y, RangeCounts* counts) {
  std::uint64_t beyond = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t value = y.to_int64(i);
    const std::int64_t wrapped = wrap_to_ring(value, network.nodes[index].ring_bits);
    if (wrapped == value) continue;
    ++beyond;
    y.set_int64(i, wrapped);
  }
  if (counts != nullptr) counts->add(index, y.size(), beyond);
}

void count_operands(const IntegerNetwork& network, std::size_t index, const WideVector& x,
                    const EvaluationOptions& options) {
  const std::size_t operand = network.nodes[index].inputs.front();
  const Shape& shape = network.nodes[operand].shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::uint64_t beyond = 0;
  for (std::size_t first = 0; first < x.size(); first += plane) {
    const auto range = step_range(network, index, first / plane, options.rounding.mode());
    if (!range) return;
    for (std::size_t i = first; i < first + plane; ++i) beyond += range->contains(x.to_int64(i)) ? 0 : 1;
  }
  options.counts->add(index, x.size(), beyond);
}

WideVector unwrapped_node(const IntegerNetwork& network, std::size_t index,
                          const std::vector<const WideVector*>& operands, const EvaluationOptions& options) {
  const Node& node = network.nodes[index];
  const Shape& shape = network.nodes[node.inputs.front()].shape;
  const WideVector& x = *operands.front();
  switch (node.kind) {
    case NodeKind::dense:
    case NodeKind::conv2d:
      return LinearLayer(node, shape, x).evaluate();
    case NodeKind::sum_pool2d:
      return sum_pool(node, shape, x);
    case NodeKind::max_pool2d:
      return max_pool(node, shape, x);
    case NodeKind::relu:
      return relu(node, x);
    case NodeKind::sign:
      return sign(x);
    case NodeKind::rescale:
      return rescale(network, index, x, options);
    case NodeKind::add:
      return add(node, operands);
    case NodeKind::concat:
      return concat(node, operands);
    default:
      return modulo_width(x, result_limbs(node));
  }
}

void check_input(const IntegerNetwork& network, const WideVector& input) {
  const auto expected = static_cast<std::size_t>(network.input().shape.size());
  if (input.size() != expected) {
    throw InputError("input.size", "the input has " + std::to_string(input.size()) +
                                       " values, the network takes " + std::to_string(expected));
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    const bool inside = input.fits_int64(i) && input.to_int64(i) >= network.encoding.low &&
                        input.to_int64(i) <= network.encoding.high;
    if (!inside) {
      throw InputError("input.range", "input value " + std::to_string(i) + " is " + input.to_decimal(i) +
                                          ", the network takes " + std::to_string(network.encoding.low) +
                                          " to " + std::to_string(network.encoding.high));
    }
  }
}

void check_operands(const IntegerNetwork& network, const Node& node,
                    const std::vector<const WideVector*>& operands) {
  bool fits = operands.size() == node.inputs.size();
  for (std::size_t k = 0; fits && k < operands.size(); ++k) {
    fits = operands[k]->size() == static_cast<std::size_t>(network.nodes[node.inputs[k]].shape.size());
  }
  if (!fits)
    throw Error("evaluator.operands", "operands of the wrong number or size for node '" + node.name + "'");
}

/// All outputs; those that no later node needs are dropped on the way unless `keep`.
std::vector<WideVector> run(const IntegerNetwork& network, const WideVector& input,
                            const EvaluationOptions& options, bool keep) {
  check_input(network, input);
  std::vector<std::size_t> last_reader(network.nodes.size(), network.nodes.size());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    for (const std::size_t operand : network.nodes[i].inputs) last_reader[operand] = i;
  }
  std::vector<WideVector> outputs(network.nodes.size());
  outputs[0] = modulo_width(input, result_limbs(network.input()));
  for (std::size_t i = 1; i < network.nodes.size(); ++i) {
    std::vector<const WideVector*> operands;
    for (const std::size_t operand : network.nodes[i].inputs) operands.push_back(&outputs[operand]);
    outputs[i] = evaluate_node(network, i, operands, options);
    if (keep) continue;
    for (const std::size_t operand : network.nodes[i].inputs) {
      if (last_reader[operand] == i) outputs[operand] = WideVector();
    }
  }
  return outputs;
}

}  // namespace

WideVector evaluate_node(const IntegerNetwork& network, std::size_t node_index,
                         const std::vector<const WideVector*>& operands, const EvaluationOptions& options) {
  const Node& node = network.nodes.at(node_index);
  check_operands(network, node, operands);
  if (operands.empty()) throw Error("evaluator.operands", "the input node has no operands to evaluate");
  if (options.counts != nullptr) count_operands(network, node_index, *operands.front(), options);
  WideVector y = unwrapped_node(network, node_index, operands, options);
  if (node.ring_bits != 0) wrap(network, node_index, y, options.counts);
  return node.rectify ? relu(node, y) : y;
}

std::vector<WideVector> evaluate_all(const IntegerNetwork& network, const WideVector& input,
                                     const EvaluationOptions& options) {
  return run(network, input, options, true);
}

WideVector evaluate(const IntegerNetwork& network, const WideVector& input,
                    const EvaluationOptions& options) {
  return std::move(run(network, input, options, false).back());
}

std::size_t arg_max(const WideVector& values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (WideVector::compare(values, i, values, best) > 0) best = i;
  }
  return best;
}

}  // namespace popcorn::models
