#include "tests/models/reference_evaluator.h"

#include <optional>
#include <stdexcept>

namespace popcorn::test {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;
using models::Shape;
using NTL::ZZ;
using Tensor = std::vector<ZZ>;

/// The value at a position of the padded input; nothing in the padding.
std::optional<ZZ> at(const Tensor& x, const Shape& shape, std::int64_t channel, std::int64_t row,
                     std::int64_t column) {
  if (row < 0 || row >= shape.height || column < 0 || column >= shape.width) return std::nullopt;
  return x[static_cast<std::size_t>((channel * shape.height + row) * shape.width + column)];
}

template <typename Visit>
void for_each_tap(const Node& node, const Tensor& x, const Shape& input, std::int64_t channel,
                  std::int64_t row, std::int64_t column, const Visit& visit) {
  const models::Window& w = node.window;
  for (std::int64_t i = 0; i < w.kernel_height; ++i) {
    for (std::int64_t j = 0; j < w.kernel_width; ++j) {
      const auto value = at(x, input, channel, row * w.stride_height - w.pad_top + i * w.dilation_height,
                            column * w.stride_width - w.pad_left + j * w.dilation_width);
      if (value) visit(i * w.kernel_width + j, *value);
    }
  }
}

ZZ conv_value(const Node& node, const Tensor& x, const Shape& input, std::int64_t output, std::int64_t row,
              std::int64_t column) {
  const std::int64_t per_group = input.channels / node.groups;
  const std::int64_t group = output / (node.shape.channels / node.groups);
  const std::int64_t taps = node.window.kernel_height * node.window.kernel_width;
  ZZ sum = to_zz(node.bias, static_cast<std::size_t>(output));
  for (std::int64_t k = 0; k < per_group; ++k) {
    for_each_tap(node, x, input, group * per_group + k, row, column, [&](std::int64_t tap, const ZZ& value) {
      sum += value *
             static_cast<long>(node.weights[static_cast<std::size_t>((output * per_group + k) * taps + tap)]);
    });
  }
  return sum;
}

ZZ pool_value(const Node& node, const Tensor& x, const Shape& input, std::int64_t channel, std::int64_t row,
              std::int64_t column) {
  std::optional<ZZ> result;
  for_each_tap(node, x, input, channel, row, column, [&](std::int64_t, const ZZ& value) {
    if (!result) {
      result = value;
    } else if (node.kind == NodeKind::sum_pool2d) {
      *result += value;
    } else if (value > *result) {
      result = value;
    }
  });
  if (!result && node.kind == NodeKind::max_pool2d) throw std::logic_error("a maximum of nothing");
  return result.value_or(ZZ(0));
}

Tensor windowed(const Node& node, const Tensor& x, const Shape& input) {
  Tensor y;
  for (std::int64_t channel = 0; channel < node.shape.channels; ++channel) {
    for (std::int64_t row = 0; row < node.shape.height; ++row) {
      for (std::int64_t column = 0; column < node.shape.width; ++column) {
        y.push_back(node.kind == NodeKind::conv2d || node.kind == NodeKind::dense
                        ? conv_value(node, x, input, channel, row, column)
                        : pool_value(node, x, input, channel, row, column));
      }
    }
  }
  return y;
}

Tensor combined(const Node& node, const std::vector<Tensor>& outputs) {
  Tensor y;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Tensor& x = outputs[node.inputs[k]];
    if (node.kind == NodeKind::concat || k == 0) {
      for (const ZZ& value : x) y.push_back(value * static_cast<long>(node.multipliers[k]));
    } else {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i] * static_cast<long>(node.multipliers[k]);
    }
  }
  return y;
}

/// ⌊(x + 2^(t−1)) / 2^t⌋ by a division; NTL's rounds down.
ZZ rounded(const ZZ& x, long shift) {
  const ZZ unit = NTL::power2_ZZ(shift);
  return (2 * x + unit) / (2 * unit);
}

Tensor rescaled(const Node& node, const Tensor& x) {
  Tensor y;
  const std::size_t plane = x.size() / static_cast<std::size_t>(node.shape.channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    y.push_back(rounded(x[i], node.shifts[node.shifts.size() == 1 ? 0 : i / plane]));
  }
  return y;
}

void reduce(Tensor& values, long bits) {
  const ZZ size = NTL::power2_ZZ(bits);
  for (ZZ& value : values) {
    value %= size;  // in [0, size)
    if (2 * value >= size) value -= size;
  }
}

Tensor unreduced_output(const IntegerNetwork& network, const Node& node, const std::vector<Tensor>& outputs) {
  const Tensor& x = outputs[node.inputs.front()];
  const Shape& input = network.nodes[node.inputs.front()].shape;
  Tensor y = x;
  switch (node.kind) {
    case NodeKind::dense:
    case NodeKind::conv2d:
    case NodeKind::sum_pool2d:
    case NodeKind::max_pool2d:
      return windowed(node, x, input);
    case NodeKind::add:
    case NodeKind::concat:
      return combined(node, outputs);
    case NodeKind::relu:
      for (ZZ& value : y) value = value < 0 ? ZZ(0) : value;
      return y;
    case NodeKind::sign:
      for (ZZ& value : y) value = value < 0 ? ZZ(-1) : ZZ(1);
      return y;
    case NodeKind::rescale:
      return rescaled(node, x);
    default:
      return y;
  }
}

Tensor node_output(const IntegerNetwork& network, const Node& node, const std::vector<Tensor>& outputs) {
  Tensor y = unreduced_output(network, node, outputs);
  if (node.ring_bits != 0) reduce(y, node.ring_bits);
  if (node.rectify) {
    for (ZZ& value : y) value = value < 0 ? ZZ(0) : value;
  }
  return y;
}

}  // namespace

ZZ to_zz(const WideVector& values, std::size_t place) {
  return NTL::conv<ZZ>(values.to_decimal(place).c_str());
}

std::vector<ZZ> to_zz(const WideVector& values) {
  Tensor result;
  for (std::size_t i = 0; i < values.size(); ++i) result.push_back(to_zz(values, i));
  return result;
}

std::vector<std::vector<ZZ>> reference_outputs(const IntegerNetwork& network, const WideVector& input) {
  std::vector<Tensor> outputs = {to_zz(input)};
  for (std::size_t i = 1; i < network.nodes.size(); ++i) {
    outputs.push_back(node_output(network, network.nodes[i], outputs));
  }
  return outputs;
}

}  // namespace popcorn::test
