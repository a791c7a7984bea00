// What a network publishes of its weighted layers.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <numeric>
#include <string>

#include "base/error.h"
#include "models/network/sliding_window.h"
#include "protocols/shares/layer/layout.h"

namespace popcorn::protocols::shares {

namespace {

/// More slots than a plaintext has: blocks that need more are never put together.
constexpr std::int64_t kMostPlaces = 4096;

/// Σ|w| of the weights of an output for the input channels of each residue modulo `together`.
std::vector<std::uint64_t> sums_by_residue(const models::Node& node, const WeightedLayer& layer,
                                           std::int64_t output, std::size_t together) {
  const std::int64_t channels = layer.input.channels / layer.groups;
  const std::int64_t kernel = layer.window.kernel_height * layer.window.kernel_width;
  const std::int64_t first = output / (layer.output.channels / layer.groups) * channels;
  const std::int32_t* weight = node.weights.data() + output * channels * kernel;
  std::vector<std::uint64_t> sums(together);
  for (std::int64_t channel = first; channel < first + channels; ++channel) {
    std::uint64_t& sum = sums[static_cast<std::size_t>(channel) % together];
    for (std::int64_t tap = 0; tap < kernel; ++tap) {
      sum += static_cast<std::uint64_t>(std::abs(std::int64_t{*weight++}));
    }
  }
  return sums;
}

/// The largest Σ|w| of any slot when k = `together`: k − 1 − r … k − 1 of one output, the rest of the one
/// before.
std::uint64_t largest_sum(const models::Node& node, const WeightedLayer& layer, std::size_t together) {
  std::uint64_t largest = 0;
  std::vector<std::uint64_t> before(together);
  for (std::int64_t output = 0; output < layer.output.channels; ++output) {
    std::vector<std::uint64_t> sums = sums_by_residue(node, layer, output, together);
    std::uint64_t meeting = std::accumulate(before.begin(), before.end(), std::uint64_t{0});
    for (std::size_t residue = together; residue-- > 0;) {
      meeting += sums[residue] - before[residue];
      largest = std::max(largest, meeting);
    }
    before = std::move(sums);
  }
  return largest;
}

}  // namespace

void check_layer(const WeightedLayer& layer) {
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) throw InputError("layer.invalid", "layer \"" + layer.name + "\" must have " + what);
  };
  const auto within = [](std::int64_t value, std::int64_t least, std::int64_t most) {
    return value >= least && value <= most;
  };
  using models::Limits;
  for (const models::Shape& shape : {layer.input, layer.output}) {
    expect(within(shape.channels, 1, Limits::kTensorSize) && within(shape.height, 1, Limits::kExtent) &&
               within(shape.width, 1, Limits::kExtent) &&
               shape.height * shape.width <= WeightedLayer::kMostValues / shape.channels,
           "tensors of 1 to " + std::to_string(WeightedLayer::kMostValues) + " values");
  }
  const models::Window& window = layer.window;
  for (const std::int64_t extent : {window.kernel_height, window.kernel_width, window.stride_height,
                                    window.stride_width, window.dilation_height, window.dilation_width}) {
    expect(within(extent, 1, Limits::kExtent), "a window with positive extents");
  }
  for (const std::int64_t pad : {window.pad_top, window.pad_left, window.pad_bottom, window.pad_right}) {
    expect(within(pad, 0, Limits::kExtent), "paddings that are not negative");
  }
  expect(window.kernel_height * window.kernel_width <= WeightedLayer::kMostTaps,
         "a window of at most " + std::to_string(WeightedLayer::kMostTaps) + " places");
  expect(layer.output.height == models::window_outputs(layer.input.height, window.kernel_height,
                                                       window.stride_height, window.pad_top,
                                                       window.pad_bottom, window.dilation_height) &&
             layer.output.width == models::window_outputs(layer.input.width, window.kernel_width,
                                                          window.stride_width, window.pad_left,
                                                          window.pad_right, window.dilation_width),
         "the outputs of its window");
  expect(within(layer.groups, 1, layer.input.channels) && layer.input.channels % layer.groups == 0 &&
             layer.output.channels % layer.groups == 0,
         "channels that its groups divide");
  expect(layer.ring >= 1 && layer.ring <= WeightedLayer::kMostRingBits && layer.slot_bits > layer.ring &&
             layer.slot_bits <= WeightedLayer::kMostSlotBits,
         "a ring of 1 to " + std::to_string(WeightedLayer::kMostRingBits) +
             " bits in larger slots of at most " + std::to_string(WeightedLayer::kMostSlotBits));
}

unsigned required_slot_bits(const models::Node& node, const WeightedLayer& layer) {
  std::uint64_t largest = 1;
  const std::int64_t places = layer.output.height * layer.output.width;
  for (const std::size_t together : channels_together()) {
    const auto count = static_cast<std::int64_t>(together);
    if (count > layer.input.channels || (2 * count - 1) * places > kMostPlaces) break;
    largest = std::max(largest, largest_sum(node, layer, together));
  }
  largest = std::max(largest, largest_sum(node, layer, 1));
  return layer.ring + static_cast<unsigned>(std::bit_width(largest - 1)) + 1;
}

WeightedLayer weighted_layer(const models::IntegerNetwork& network, std::size_t index, unsigned ring) {
  const models::Node& node = network.nodes[index];
  const bool is_dense = node.kind == models::NodeKind::dense;
  if (!is_dense && node.kind != models::NodeKind::conv2d) {
    throw Error("layer.kind", "node \"" + node.name + "\" is no dense layer and no convolution");
  }
  WeightedLayer layer;
  layer.name = node.name;
  layer.input = network.nodes[node.inputs.front()].shape;
  layer.output = node.shape;
  if (is_dense) {
    layer.input = {layer.input.size(), 1, 1};
  } else {
    layer.window = node.window;
    layer.groups = node.groups;
  }
  layer.ring = ring;
  layer.slot_bits = required_slot_bits(node, layer);
  if (ring == 0 || ring > WeightedLayer::kMostRingBits || layer.slot_bits > WeightedLayer::kMostSlotBits) {
    throw InputError("model.too_wide",
                     "layer \"" + node.name + "\": rings of 1 to " +
                         std::to_string(WeightedLayer::kMostRingBits) + " bits and slots of at most " +
                         std::to_string(WeightedLayer::kMostSlotBits) + " can be packed, not " +
                         std::to_string(ring) + " and " + std::to_string(layer.slot_bits));
  }
  return layer;
}

}  // namespace popcorn::protocols::shares
