#include "models/network/value_range.h"

#include <algorithm>

namespace popcorn::models {

namespace {

std::uint64_t sum_of(const std::vector<std::atomic<std::uint64_t>>& counts) {
  std::uint64_t sum = 0;
  for (const std::atomic<std::uint64_t>& count : counts) sum += count;
  return sum;
}

/// An upper bound of what a rounding of t digits adds, 0 without digits.
std::int64_t most_added(unsigned t, RoundingMode mode) {
  if (t == 0) return 0;
  return mode == RoundingMode::nearest ? half_unit(t) : low_digits(t) + 1;
}

/// Upper end (exclusive) and lower end move by what the rounding adds at most.
ValueRange rescale_range(const Node& node, unsigned ring_bits, unsigned t, RoundingMode mode) {
  const std::int64_t half = half_unit(t);
  const std::int64_t added = most_added(t, mode);
  if (node.rectify) {
    const std::int64_t end = std::int64_t{1} << (ring_bits - 1);
    return {-end, end - added - 1};
  }
  const std::int64_t end = std::int64_t{1} << (ring_bits - 2);
  return {-end - half, end - added - 1};
}

/// The one node that reads nodes[index]; null when several do.
const Node* only_reader(const IntegerNetwork& network, std::size_t index) {
  const Node* reader = nullptr;
  for (std::size_t i = index + 1; i < network.nodes.size(); ++i) {
    for (const std::size_t operand : network.nodes[i].inputs) {
      if (operand != index) continue;
      if (reader != nullptr) return nullptr;
      reader = &network.nodes[i];
    }
  }
  return reader;
}

/// Bits of the ring of the rescale that alone reads a max_pool2d; 0 for other nodes and where it has none.
unsigned kept_behind(const IntegerNetwork& network, std::size_t index) {
  if (network.nodes[index].kind != NodeKind::max_pool2d) return 0;
  const Node* const reader = only_reader(network, index);
  return reader != nullptr && reader->kind == NodeKind::rescale ? reader->ring_bits : 0;
}

}  // namespace

unsigned dropped_digits(const IntegerNetwork& network, std::size_t index, std::size_t channel) {
  const Node* node = &network.nodes.at(index);
  if (node->kind == NodeKind::max_pool2d) node = only_reader(network, index);
  const bool rounds = node != nullptr && node->kind == NodeKind::rescale;
  return rounds ? static_cast<unsigned>(node->shift(channel)) : 0;
}

unsigned ring_of(const IntegerNetwork& network, std::size_t index) {
  for (;;) {
    const Node& node = network.nodes.at(index);
    const bool passes = node.kind == NodeKind::flatten || node.kind == NodeKind::max_pool2d ||
                        node.kind == NodeKind::relu || node.kind == NodeKind::output;
    if (!passes) return node.ring_bits;
    index = node.inputs.front();
  }
}

std::optional<ValueRange> step_range(const IntegerNetwork& network, std::size_t index, std::size_t channel,
                                     RoundingMode mode) {
  const Node& node = network.nodes.at(index);
  if (node.kind != NodeKind::rescale && node.kind != NodeKind::max_pool2d) return std::nullopt;
  unsigned ring_bits = ring_of(network, node.inputs.front());
  const unsigned dropped = dropped_digits(network, index, channel);
  if (const unsigned kept = kept_behind(network, index); kept != 0) {
    const unsigned enough = kept + 1 + dropped;
    ring_bits = ring_bits == 0 ? enough : std::min(ring_bits, enough);
  }
  if (ring_bits == 0) return std::nullopt;
  if (node.kind == NodeKind::rescale) return rescale_range(node, ring_bits, dropped, mode);
  const std::int64_t end = std::int64_t{1} << (ring_bits - 2);
  return ValueRange{-end, end - 1 - most_added(dropped, mode)};
}

void ValueExtremes::add(std::size_t node, std::int64_t least, std::int64_t largest) {
  const std::lock_guard lock(mutex_);
  ValueRange& range = extremes_.at(node);
  range.low = std::min(range.low, least);
  range.high = std::max(range.high, largest);
}

void ValueExtremes::add_operand(std::size_t node, std::int64_t magnitude) {
  const std::lock_guard lock(mutex_);
  operands_.at(node) = std::max(operands_.at(node), magnitude);
}

std::int64_t ValueExtremes::largest_magnitude(std::size_t node) const {
  return std::max(of(node).high, -of(node).low);
}

std::uint64_t RangeCounts::values() const {
  return sum_of(values_);
}

std::uint64_t RangeCounts::beyond() const {
  return sum_of(beyond_);
}

}  // namespace popcorn::models
