#include "protocols/shares/share_estimate.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "models/file/popcorn_format.h"
#include "models/network/shape_inference.h"
#include "models/network/value_range.h"
#include "paillier/weighted_sum/weighted_sum.h"
#include "protocols/ot/share_steps.h"

namespace popcorn::protocols {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

constexpr unsigned kUnusedBits = 43;  // of a plaintext, so that W·c + R hardly ever wraps
constexpr unsigned kByteBits = 8;

/// Bytes of one random transfer, by how many a session makes (ot/: which source serves).
double transfer_bytes(std::uint64_t transfers) {
  constexpr std::uint64_t kFew = 160'000, kMany = 5'000'000;
  if (transfers < kFew) return 1.9;
  return transfers < kMany ? 0.172 : 0.05;
}

std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return (a + b - 1) / b;
}

std::uint64_t count(std::int64_t n) {
  return static_cast<std::uint64_t>(n);
}

class Estimator {
 public:
  Estimator(const IntegerNetwork& network, const ShareEstimateOptions& options)
      : network_(network), options_(options) {}

  ShareEstimates run() {
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      result_.layers.push_back(layer(i));
      result_.all += result_.layers.back();
      result_.flights += result_.layers.back().flights;
    }
    share_transfer_bytes();
    return std::move(result_);
  }

 private:
  /// Of the node's values: its ring, or as many bits as its static bound and a sign take.
  unsigned ring(std::size_t index) const {
    const unsigned own = models::ring_of(network_, index);
    return own != 0 ? own : network_.nodes[index].bounds.bits + 1;
  }

  ShareEstimateLayer layer(std::size_t index) const {
    const Node& node = network_.nodes[index];
    ShareEstimateLayer layer;
    layer.name = node.name;
    layer.kind = models::to_string(node.kind);
    layer.ring_bits = ring(index);
    switch (node.kind) {
      case NodeKind::dense:
      case NodeKind::conv2d:
        weighted(index, layer);
        break;
      case NodeKind::rescale:
        layer.kept_bits = ring(index);
        add_step(rescale_cost(index), node.shape.size(), layer);
        break;
      case NodeKind::relu:
        add_step(rectify_cost(ring(node.inputs.front())), node.shape.size(), layer);
        break;
      case NodeKind::sign:
        add_step(ot::sign_cost(ring(node.inputs.front())), node.shape.size(), layer);
        break;
      case NodeKind::max_pool2d:
        maxima(index, layer);
        break;
      case NodeKind::output:
        layer.step_bytes += ceil_div(count(node.shape.size()) * layer.ring_bits, kByteBits);
        layer.flights = 1;
        break;
      default:
        break;
    }
    return layer;
  }

  static void add_step(const ot::StepCost& cost, std::int64_t values, ShareEstimateLayer& layer) {
    layer.step_bytes += cost.bytes(static_cast<std::size_t>(values));
    layer.transfers += count(values) * (cost.transfers.from_first + cost.transfers.from_second);
    layer.flights += cost.flights;
  }

  /// Sign and multiplexer, nothing dropped.
  static ot::StepCost rectify_cost(unsigned ring_bits) {
    // A maximum with 0 is just that.
    return ot::maximum_cost(ring_bits);
  }

  /// Shifts per channel are made one by multiplying up: the ring of the step is κ and the largest shift.
  ot::StepCost rescale_cost(std::size_t index) const {
    const Node& node = network_.nodes[index];
    const auto shift = static_cast<unsigned>(*std::ranges::max_element(node.shifts));
    const unsigned kept = ring(index);
    if (shift == 0) return node.rectify ? rectify_cost(kept) : ot::StepCost{};
    ot::ReluShape shape;
    shape.ring = kept + shift;
    shape.shift = shift;
    shape.result_ring = std::max(kept, readers_ring(index));
    shape.nearest = options_.nearest;
    shape.neighbour = options_.nearest && comes_packed(node.inputs.front());
    return node.rectify ? ot::relu_truncate_cost(shape) : ot::truncate_signed_cost(shape);
  }

  bool comes_packed(std::size_t index) const {
    const Node& node = network_.nodes[index];
    if (node.kind == NodeKind::flatten || node.kind == NodeKind::concat)
      return comes_packed(node.inputs.front());
    return models::takes_weights(node.kind);
  }

  /// The ring that layers and sums which read the values want.
  unsigned readers_ring(std::size_t index) const {
    unsigned bits = 0;
    for (std::size_t i = index + 1; i < network_.nodes.size(); ++i) {
      const Node& reader = network_.nodes[i];
      if (std::ranges::find(reader.inputs, index) == reader.inputs.end()) continue;
      const bool grows = models::takes_weights(reader.kind) || reader.kind == NodeKind::add ||
                         reader.kind == NodeKind::sum_pool2d;
      bits = std::max(bits, grows ? ring(i) : reader.kind == NodeKind::max_pool2d ? 0 : readers_ring(i));
    }
    return bits;
  }

  void maxima(std::size_t index, ShareEstimateLayer& layer) const {
    const Node& node = network_.nodes[index];
    const std::int64_t taps = node.window.kernel_height * node.window.kernel_width;
    const unsigned ring_bits = ring(node.inputs.front());
    const ot::StepCost cost = ot::maximum_cost(ring_bits);
    const unsigned levels = static_cast<unsigned>(std::bit_width(count(taps) - 1));
    add_step(cost, node.shape.size() * (taps - 1), layer);
    layer.flights = levels * cost.flights;
    const unsigned wanted = readers_ring(index);
    if (wanted <= ring_bits) return;
    const auto values = count(node.shape.size());
    layer.step_bytes += ceil_div(values * (wanted - ring_bits + 1), kByteBits);
    layer.transfers += values;
    ++layer.flights;
  }

  /// Segments of a plane of outputs, and how often a channel comes.
  struct Packing {
    std::uint64_t slots, segments, alignments, shifts;
  };

  Packing packing(const Node& node, unsigned slot_bits) const {
    const std::uint64_t slots = (options_.key_bits - kUnusedBits) / slot_bits;
    if (slots == 0) {
      throw InputError("shares.ring", models::describe(node) + ": slots of " + std::to_string(slot_bits) +
                                          " bits do not fit a key of " + std::to_string(options_.key_bits));
    }
    const models::Window& w = node.window;
    const auto height = count(w.kernel_height), width = count(w.kernel_width);
    const bool strided = w.stride_height > 1 || w.stride_width > 1;
    const std::uint64_t pitch = count(node.shape.width) + (strided ? 0 : width - 1);
    const std::uint64_t segments = ceil_div(pitch * count(node.shape.height), slots);
    return {slots, segments, strided ? height * width : height, strided ? 0 : width - 1};
  }

  void weighted(std::size_t index, ShareEstimateLayer& layer) const {
    const Node& node = network_.nodes[index];
    const models::Shape& input = network_.nodes[node.inputs.front()].shape;
    layer.slot_bits = layer.ring_bits + sum_bits(node) + 1;
    const Packing pack = packing(node, layer.slot_bits);
    const bool is_vector = node.shape.height * node.shape.width == 1;
    layer.ciphertexts_up = count(input.channels) * pack.segments * pack.alignments;
    layer.ciphertexts_down = count(node.shape.channels) * pack.segments;
    layer.multiplications = (options_.multiplications ? sums(node, pack.segments) : 0) +
                            layer.ciphertexts_up * pack.shifts * layer.slot_bits;
    if (is_vector) {  // outputs share ciphertexts, one shifted behind the other
      layer.ciphertexts_down = ceil_div(count(node.shape.channels), pack.slots);
      layer.multiplications += count(node.shape.channels) * layer.slot_bits;
    }
    layer.ciphertext_bytes =
        (layer.ciphertexts_up + layer.ciphertexts_down) * (2 * options_.key_bits / kByteBits);
    // The difference to the share that the client chose beforehand.
    layer.step_bytes += ceil_div(count(input.size()) * layer.ring_bits, kByteBits);
    ++layer.flights;
  }

  /// ⌈log2⌉ of the largest Σ|w| of an output.
  static unsigned sum_bits(const Node& node) {
    const std::size_t row = node.weights.size() / count(node.shape.channels);
    std::uint64_t largest = 1;
    for (std::size_t first = 0; first < node.weights.size(); first += row) {
      std::uint64_t sum = 0;
      for (std::size_t i = first; i < first + row; ++i) sum += count(std::abs(std::int64_t{node.weights[i]}));
      largest = std::max(largest, sum);
    }
    return static_cast<unsigned>(std::bit_width(largest - 1));
  }

  /// Of all outputs for `segments` positions.
  static std::uint64_t sums(const Node& node, std::uint64_t segments) {
    paillier::LinearMap map;
    const auto channels = static_cast<std::size_t>(node.shape.channels);
    const std::size_t row = node.weights.size() / channels;
    const std::size_t per_group = channels / static_cast<std::size_t>(node.groups);
    map.channels = channels;
    map.positions = static_cast<std::size_t>(segments);
    map.taps = row * static_cast<std::size_t>(node.groups);
    map.inputs = map.taps * map.positions;
    for (std::size_t i = 0; i < map.inputs; ++i) map.input_index.push_back(static_cast<std::uint32_t>(i));
    map.row_start.push_back(0);
    for (std::size_t o = 0; o < channels; ++o) {
      for (std::size_t k = 0; k < row; ++k) {
        const std::int32_t weight = node.weights[o * row + k];
        if (weight == 0) continue;
        map.weight.push_back(weight);
        map.tap.push_back(static_cast<std::uint32_t>(o / per_group * row + k));
      }
      map.row_start.push_back(static_cast<std::uint32_t>(map.weight.size()));
    }
    map.bias = WideVector(channels, 1);
    return paillier::WeightedSumPlan(std::move(map)).cost().multiplications;
  }

  /// What makes the transfers, at the rate for all of them together.
  void share_transfer_bytes() {
    const double rate = transfer_bytes(result_.all.transfers);
    result_.all.step_bytes = 0;
    for (ShareEstimateLayer& layer : result_.layers) {
      layer.step_bytes += static_cast<std::uint64_t>(std::ceil(rate * static_cast<double>(layer.transfers)));
      result_.all.step_bytes += layer.step_bytes;
    }
  }

  const IntegerNetwork& network_;
  const ShareEstimateOptions& options_;
  ShareEstimates result_;
};

}  // namespace

ShareEstimate& ShareEstimate::operator+=(const ShareEstimate& other) {
  multiplications += other.multiplications;
  ciphertexts_up += other.ciphertexts_up;
  ciphertexts_down += other.ciphertexts_down;
  transfers += other.transfers;
  ciphertext_bytes += other.ciphertext_bytes;
  step_bytes += other.step_bytes;
  return *this;
}

ShareEstimates estimate_shares(const IntegerNetwork& network, const ShareEstimateOptions& options) {
  if (!network.is_requantised()) {
    throw UsageError("shares.network",
                     "the network " + network.name + " is exact; shares need a requantised one");
  }
  return Estimator(network, options).run();
}

}  // namespace popcorn::protocols
