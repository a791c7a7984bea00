#include "models/network/shape_inference.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "models/file/popcorn_format.h"
#include "models/network/sliding_window.h"

namespace popcorn::models {

namespace {

[[noreturn]] void mismatch(const Node& node, const std::string& problem) {
  throw InputError("model.shape_mismatch", describe(node) + ": " + problem);
}

void check_operand_count(const Node& node) {
  std::size_t low = 1;
  std::size_t high = 1;
  if (node.kind == NodeKind::input) low = high = 0;
  if (takes_multipliers(node.kind)) {
    low = 2;
    high = Limits::kOperands;
  }
  if (node.inputs.size() < low || node.inputs.size() > high) {
    const std::string expected =
        low == high ? std::to_string(low) : std::to_string(low) + " to " + std::to_string(high);
    throw InputError("model.operands", describe(node) + ": has " + std::to_string(node.inputs.size()) +
                                           " operands, expected " + expected);
  }
}

void check_window(const Node& node) {
  const Window& window = node.window;
  if (!takes_window(node.kind)) {
    if (window != Window{}) throw InputError("model.window", describe(node) + ": this kind takes no window");
    return;
  }
  for (const std::int64_t value : {window.kernel_height, window.kernel_width, window.stride_height,
                                   window.stride_width, window.dilation_height, window.dilation_width}) {
    if (value < 1 || value > Limits::kExtent) {
      throw InputError("model.window",
                       describe(node) + ": kernel, stride and dilation must be between 1 and " +
                           std::to_string(Limits::kExtent) + ", found " + std::to_string(value));
    }
  }
  for (const std::int64_t value : {window.pad_top, window.pad_left, window.pad_bottom, window.pad_right}) {
    if (value < 0 || value > Limits::kExtent) {
      throw InputError("model.window", describe(node) + ": padding must be between 0 and " +
                                           std::to_string(Limits::kExtent) + ", found " +
                                           std::to_string(value));
    }
  }
}

Shape windowed_shape(const Node& node, const Shape& input, std::int64_t channels) {
  const Window& w = node.window;
  const Shape shape{
      channels,
      window_outputs(input.height, w.kernel_height, w.stride_height, w.pad_top, w.pad_bottom,
                     w.dilation_height),
      window_outputs(input.width, w.kernel_width, w.stride_width, w.pad_left, w.pad_right, w.dilation_width)};
  if (shape.height == 0 || shape.width == 0) {
    mismatch(node, "the window is larger than its padded input " + input.to_string());
  }
  return shape;
}

/// Output channels of a node with weights: the given shape's, else as many as there are biases.
std::int64_t output_channels(const Node& node) {
  const std::int64_t channels =
      node.shape.channels != 0 ? node.shape.channels : static_cast<std::int64_t>(node.bias.size());
  if (channels < 1 || channels > Limits::kChannels) {
    throw InputError("model.shape", describe(node) + ": output channels must be between 1 and " +
                                        std::to_string(Limits::kChannels) + ", found " +
                                        std::to_string(channels));
  }
  return channels;
}

Shape dense_shape(const Node& node, const Shape& input) {
  if (input.height != 1 || input.width != 1) {
    mismatch(node, "its operand must be a vector (put a flatten before it), found " + input.to_string());
  }
  return {output_channels(node), 1, 1};
}

Shape conv_shape(const Node& node, const Shape& input) {
  const std::int64_t outputs = output_channels(node);
  if (node.groups < 1 || input.channels % node.groups != 0 || outputs % node.groups != 0) {
    mismatch(node, std::to_string(node.groups) + " groups must divide " + std::to_string(input.channels) +
                       " input and " + std::to_string(outputs) + " output channels");
  }
  return windowed_shape(node, input, outputs);
}

Shape pooled_shape(const Node& node, const Shape& input) {
  const Shape shape = windowed_shape(node, input, input.channels);
  check_shape(describe(node), shape);
  if (node.kind == NodeKind::max_pool2d &&
      (vertical_axis(node.window, input, shape).taps_inside().begin == 0 ||
       horizontal_axis(node.window, input, shape).taps_inside().begin == 0)) {
    throw InputError("model.window",
                     describe(node) + ": a window lies wholly in the padding and has no maximum");
  }
  return shape;
}

Shape add_shape(const IntegerNetwork& network, const Node& node) {
  const Shape& first = network.nodes[node.inputs.front()].shape;
  for (const std::size_t operand : node.inputs) {
    if (network.nodes[operand].shape != first) {
      mismatch(node, "operands must have one shape, found " + first.to_string() + " and " +
                         network.nodes[operand].shape.to_string());
    }
  }
  return first;
}

Shape concat_shape(const IntegerNetwork& network, const Node& node) {
  Shape shape = network.nodes[node.inputs.front()].shape;
  shape.channels = 0;
  for (const std::size_t operand : node.inputs) {
    const Shape& part = network.nodes[operand].shape;
    if (part.height != shape.height || part.width != shape.width) {
      mismatch(node, "operands must have one height and width, found " +
                         network.nodes[node.inputs.front()].shape.to_string() + " and " + part.to_string());
    }
    shape.channels += part.channels;
  }
  return shape;
}

Shape inferred_shape(const IntegerNetwork& network, const Node& node) {
  if (node.kind == NodeKind::input) return node.shape;
  const Shape& operand = network.nodes[node.inputs.front()].shape;
  switch (node.kind) {
    case NodeKind::dense:
      return dense_shape(node, operand);
    case NodeKind::conv2d:
      return conv_shape(node, operand);
    case NodeKind::sum_pool2d:
    case NodeKind::max_pool2d:
      return pooled_shape(node, operand);
    case NodeKind::add:
      return add_shape(network, node);
    case NodeKind::concat:
      return concat_shape(network, node);
    case NodeKind::flatten:
      return {operand.size(), 1, 1};
    default:
      return operand;
  }
}

/// outputs · inputs/groups · kernel, stopped as soon as it leaves the limit.
std::int64_t expected_weights(const Node& node, const Shape& input) {
  std::int64_t count = 1;
  for (const std::int64_t factor : {node.shape.channels, input.channels / node.groups,
                                    node.window.kernel_height, node.window.kernel_width}) {
    count *= factor;  // below 2^29 · 2^20
    if (count > Limits::kWeights) {
      throw InputError("model.weights",
                       describe(node) + ": more than " + std::to_string(Limits::kWeights) + " weights");
    }
  }
  return count;
}

void check_weights(const IntegerNetwork& network, Node& node) {
  if (!takes_weights(node.kind)) {
    if (!node.weights.empty() || !node.bias.empty()) {
      throw InputError("model.weights", describe(node) + ": this kind takes no weights and no bias");
    }
    return;
  }
  const std::int64_t expected = expected_weights(node, network.nodes[node.inputs.front()].shape);
  if (static_cast<std::int64_t>(node.weights.size()) != expected) {
    throw InputError("model.weights", describe(node) + ": has " + std::to_string(node.weights.size()) +
                                          " weights, expected " + std::to_string(expected));
  }
  // Its magnitude is no 32-bit integer.
  if (std::ranges::find(node.weights, INT32_MIN) != node.weights.end()) {
    throw InputError("model.weights", describe(node) + ": a weight is -2^31, the least allowed is -2^31 + 1");
  }
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  if (node.bias.empty()) node.bias = WideVector(channels, 1);
  if (node.bias.size() != channels) {
    throw InputError("model.bias", describe(node) + ": has " + std::to_string(node.bias.size()) +
                                       " biases, expected " + std::to_string(channels));
  }
  if (node.bias.limbs() > WideVector::limbs_for_bits(Limits::kValueBits)) {
    throw InputError("model.bias", describe(node) + ": biases are wider than " +
                                       std::to_string(Limits::kValueBits) + " bits");
  }
}

void check_multipliers(Node& node) {
  if (!takes_multipliers(node.kind)) {
    if (!node.multipliers.empty()) {
      throw InputError("model.multipliers", describe(node) + ": this kind takes no multipliers");
    }
    return;
  }
  if (node.multipliers.empty()) node.multipliers.assign(node.inputs.size(), 1);
  if (node.multipliers.size() != node.inputs.size()) {
    throw InputError("model.multipliers", describe(node) + ": has " +
                                              std::to_string(node.multipliers.size()) + " multipliers for " +
                                              std::to_string(node.inputs.size()) + " operands");
  }
  if (std::ranges::any_of(node.multipliers, [](std::int64_t factor) { return factor < 1; })) {
    throw InputError("model.multipliers", describe(node) + ": multipliers must be positive");
  }
}

void check_shifts(const IntegerNetwork& network, const Node& node) {
  if (node.kind != NodeKind::rescale) {
    if (!node.shifts.empty() || node.rectify) {
      throw InputError("model.shifts", describe(node) + ": this kind takes no shifts");
    }
    return;
  }
  if (node.shifts.size() != 1 && static_cast<std::int64_t>(node.shifts.size()) != node.shape.channels) {
    throw InputError("model.shifts", describe(node) + ": has " + std::to_string(node.shifts.size()) +
                                         " shifts, expected 1 or " + std::to_string(node.shape.channels));
  }
  if (std::ranges::any_of(node.shifts, [](std::int64_t t) { return t < 0 || t > Limits::kShift; })) {
    throw InputError("model.shifts",
                     describe(node) + ": shifts must be between 0 and " + std::to_string(Limits::kShift));
  }
  const unsigned bits = network.nodes[node.inputs.front()].bounds.bits;
  if (bits >= Limits::kRingBits) {
    throw InputError("model.value_too_large", describe(node) + ": its operand needs " + std::to_string(bits) +
                                                  " bits, a rescale takes fewer than " +
                                                  std::to_string(Limits::kRingBits));
  }
}

void check_ring(const Node& node) {
  if (node.ring_bits == 0) return;
  if (!takes_ring(node.kind)) {
    throw InputError("model.ring", describe(node) + ": this kind takes no ring");
  }
  if (node.ring_bits < 2 || node.ring_bits > Limits::kRingBits) {
    throw InputError("model.ring", describe(node) + ": a ring has 2 to " + std::to_string(Limits::kRingBits) +
                                       " bits, found " + std::to_string(node.ring_bits));
  }
}

void check_scale(Node& node) {
  if (node.scale.empty()) node.scale = {1.0};
  if (node.scale.size() != 1 && static_cast<std::int64_t>(node.scale.size()) != node.shape.channels) {
    throw InputError("model.scale", describe(node) + ": has " + std::to_string(node.scale.size()) +
                                        " scales, expected 1 or " + std::to_string(node.shape.channels));
  }
  if (!std::ranges::all_of(node.scale, [](double scale) { return std::isfinite(scale) && scale > 0; })) {
    throw InputError("model.scale", describe(node) + ": scales must be positive and finite");
  }
}

}  // namespace

std::string describe(const Node& node) {
  return "node '" + printable(node.name) + "' (" + std::string(to_string(node.kind)) + ")";
}

void check_shape(const std::string& what, const Shape& shape) {
  const bool extents = shape.channels >= 1 && shape.channels <= Limits::kChannels && shape.height >= 1 &&
                       shape.height <= Limits::kExtent && shape.width >= 1 && shape.width <= Limits::kExtent;
  if (!extents || shape.size() > Limits::kTensorSize) {
    throw InputError("model.shape",
                     what + ": shape " + shape.to_string() + " is empty or too large (at most " +
                         std::to_string(Limits::kChannels) + " channels, " + std::to_string(Limits::kExtent) +
                         " rows and columns, " + std::to_string(Limits::kTensorSize) + " values)");
  }
}

void infer_node(IntegerNetwork& network, std::size_t index) {
  Node& node = network.nodes[index];
  check_operand_count(node);
  check_window(node);
  if (node.groups != 1 && node.kind != NodeKind::conv2d) {
    throw InputError("model.window", describe(node) + ": this kind takes no groups");
  }
  const Shape shape = inferred_shape(network, node);
  check_shape(describe(node), shape);
  if (node.shape.channels != 0 && node.shape != shape) {
    mismatch(node, "declares shape " + node.shape.to_string() + ", its operands give " + shape.to_string());
  }
  node.shape = shape;
  check_weights(network, node);
  check_multipliers(node);
  check_shifts(network, node);
  check_ring(node);
  check_scale(node);
}

}  // namespace popcorn::models
