#include "models/network/bounds.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "models/network/rounding.h"
#include "models/network/shape_inference.h"
#include "models/network/sliding_window.h"
#include "models/network/wide_arithmetic.h"

namespace popcorn::models {

namespace {

/// Both ends of all channels' intervals at one width.
struct Interval {
  WideVector low;
  WideVector high;
};

Interval widened(const Bounds& bounds, std::size_t limbs) {
  return {modulo_width(bounds.low, limbs), modulo_width(bounds.high, limbs)};
}

/// May a tap of the window lie inside the input, and may it lie in the padding, over all outputs?
struct TapReach {
  bool inside;
  bool outside;
};

std::vector<TapReach> tap_reach(const Axis& axis) {
  std::vector<TapReach> reach;
  for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
    const std::int64_t outputs = axis.outputs_of_tap(tap).size();
    reach.push_back({outputs > 0, outputs < axis.output});
  }
  return reach;
}

/// Adds w·[low, high] to an interval, joined with zero when the tap can be absent.
template <std::size_t kLimbs>
class TapAdder {
 public:
  TapAdder(const Interval& input, std::size_t limbs) : input_(input), limbs_(limbs) {}

  void add(std::uint64_t* low, std::uint64_t* high, std::size_t channel, std::int32_t weight,
           bool outside) const {
    const WideVector& least = weight > 0 ? input_.low : input_.high;
    const WideVector& most = weight > 0 ? input_.high : input_.low;
    // w·least > 0 exactly when `least` has the sign of w and is not zero; adding a zero is harmless either
    // way.
    const bool least_positive = least.is_negative(channel) == (weight < 0);
    const bool most_negative = most.is_negative(channel) != (weight < 0);
    if (!(outside && least_positive)) accumulate<kLimbs>(low, least[channel].data(), weight, limbs_);
    if (!(outside && most_negative)) accumulate<kLimbs>(high, most[channel].data(), weight, limbs_);
  }

 private:
  const Interval& input_;
  std::size_t limbs_;
};

Interval linear_interval(const IntegerNetwork& network, const Node& node, std::size_t limbs) {
  const Node& operand = network.nodes[node.inputs.front()];
  const Interval input = widened(operand.bounds, limbs);
  Interval result{modulo_width(node.bias, limbs), modulo_width(node.bias, limbs)};
  const std::vector<TapReach> rows = tap_reach(vertical_axis(node.window, operand.shape, node.shape));
  const std::vector<TapReach> columns = tap_reach(horizontal_axis(node.window, operand.shape, node.shape));
  const auto outputs = static_cast<std::size_t>(node.shape.channels);
  const auto groups = static_cast<std::size_t>(node.groups);
  const std::size_t inputs_per_group = static_cast<std::size_t>(operand.shape.channels) / groups;
  with_limbs(limbs, [&](auto width) {
    const TapAdder<width()> adder(input, limbs);
    std::size_t place = 0;
    for (std::size_t output = 0; output < outputs; ++output) {
      const std::size_t first = output / (outputs / groups) * inputs_per_group;
      for (std::size_t channel = first; channel < first + inputs_per_group; ++channel) {
        for (const TapReach& row : rows) {
          for (const TapReach& column : columns) {
            const std::int32_t weight = node.weights[place++];
            if (weight == 0 || !row.inside || !column.inside) continue;
            adder.add(result.low[output].data(), result.high[output].data(), channel, weight,
                      row.outside || column.outside);
          }
        }
      }
    }
  });
  return result;
}

void add_scaled(WideVector& values, std::size_t place, const WideVector& other, std::size_t from,
                std::int64_t factor) {
  accumulate<0>(values[place].data(), other[from].data(), factor, values.limbs());
}

/// k·x over all numbers k of taps that a window can have inside its input.
Interval sum_pool_interval(const IntegerNetwork& network, const Node& node, std::size_t limbs) {
  const Node& operand = network.nodes[node.inputs.front()];
  const Interval input = widened(operand.bounds, limbs);
  const Range rows = vertical_axis(node.window, operand.shape, node.shape).taps_inside();
  const Range columns = horizontal_axis(node.window, operand.shape, node.shape).taps_inside();
  const std::int64_t fewest = rows.begin * columns.begin;
  const std::int64_t most = rows.end * columns.end;
  Interval result{WideVector(input.low.size(), limbs), WideVector(input.low.size(), limbs)};
  for (std::size_t c = 0; c < input.low.size(); ++c) {
    add_scaled(result.low, c, input.low, c, input.low.is_negative(c) ? most : fewest);
    add_scaled(result.high, c, input.high, c, input.high.is_negative(c) ? fewest : most);
  }
  return result;
}

Interval add_interval(const IntegerNetwork& network, const Node& node, std::size_t limbs) {
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  Interval result{WideVector(channels, limbs), WideVector(channels, limbs)};
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Interval input = widened(network.nodes[node.inputs[k]].bounds, limbs);
    for (std::size_t c = 0; c < channels; ++c) {
      add_scaled(result.low, c, input.low, c, node.multipliers[k]);
      add_scaled(result.high, c, input.high, c, node.multipliers[k]);
    }
  }
  return result;
}

Interval concat_interval(const IntegerNetwork& network, const Node& node, std::size_t limbs) {
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  Interval result{WideVector(channels, limbs), WideVector(channels, limbs)};
  std::size_t place = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Interval input = widened(network.nodes[node.inputs[k]].bounds, limbs);
    for (std::size_t c = 0; c < input.low.size(); ++c, ++place) {
      add_scaled(result.low, place, input.low, c, node.multipliers[k]);
      add_scaled(result.high, place, input.high, c, node.multipliers[k]);
    }
  }
  return result;
}

Interval flatten_interval(const Node& operand, std::size_t limbs) {
  const auto positions = static_cast<std::size_t>(operand.shape.height * operand.shape.width);
  const std::size_t size = operand.bounds.low.size() * positions;
  const Interval input = widened(operand.bounds, limbs);
  Interval result{WideVector(size, limbs), WideVector(size, limbs)};
  for (std::size_t i = 0; i < size; ++i) {
    std::ranges::copy(input.low[i / positions], result.low[i].begin());
    std::ranges::copy(input.high[i / positions], result.high[i].begin());
  }
  return result;
}

void rectify(Interval& interval) {
  for (WideVector* end : {&interval.low, &interval.high}) {
    for (std::size_t c = 0; c < end->size(); ++c) {
      if (end->is_negative(c)) end->set_int64(c, 0);
    }
  }
}

Interval relu_interval(const Bounds& bounds, std::size_t limbs) {
  Interval result = widened(bounds, limbs);
  rectify(result);
  return result;
}

Interval sign_interval(const Bounds& bounds) {
  Interval result{WideVector(bounds.low.size(), 1), WideVector(bounds.low.size(), 1)};
  for (std::size_t c = 0; c < bounds.low.size(); ++c) {
    result.low.set_int64(c, bounds.low.is_negative(c) ? -1 : 1);
    result.high.set_int64(c, bounds.high.is_negative(c) ? -1 : 1);
  }
  return result;
}

/// Of either rounding: ⌊low / 2^t⌋ is the least that any u gives, ⌊(high + 2^t − 1) / 2^t⌋ the largest.
Interval rescale_interval(const Node& node, const Bounds& bounds) {
  const std::size_t channels = bounds.low.size();
  Interval result{WideVector(channels, 1), WideVector(channels, 1)};
  for (std::size_t c = 0; c < channels; ++c) {
    const auto shift = static_cast<unsigned>(node.shift(c));
    result.low.set_int64(c, drop_digits(bounds.low.to_int64(c), shift, 0));
    result.high.set_int64(c, drop_digits(bounds.high.to_int64(c), shift, low_digits(shift)));
  }
  return result;
}

/// A channel that can leave the ring can have any value of it.
void keep_to_ring(Interval& interval, unsigned ring_bits) {
  const std::int64_t end = std::int64_t{1} << (ring_bits - 1);
  for (std::size_t c = 0; c < interval.low.size(); ++c) {
    const bool inside = interval.low.fits_int64(c) && interval.high.fits_int64(c) &&
                        interval.low.to_int64(c) >= -end && interval.high.to_int64(c) < end;
    if (inside) continue;
    interval.low.set_int64(c, -end);
    interval.high.set_int64(c, end - 1);
  }
}

Interval input_interval(const InputEncoding& encoding, const Node& node) {
  const auto channels = static_cast<std::size_t>(node.shape.channels);
  Interval result{WideVector(channels, 1), WideVector(channels, 1)};
  for (std::size_t c = 0; c < channels; ++c) {
    result.low.set_int64(c, encoding.low);
    result.high.set_int64(c, encoding.high);
  }
  return result;
}

/// A width that no interval of the node can overflow, before the exact one is known.
std::size_t safe_limbs(const IntegerNetwork& network, const Node& node) {
  std::size_t bits = 64;
  for (const std::size_t operand : node.inputs) {
    bits = std::max<std::size_t>(bits, network.nodes[operand].bounds.bits);
  }
  switch (node.kind) {
    case NodeKind::dense:
    case NodeKind::conv2d:  // weights below 2^31, fewer than 2^29 terms, one bias
      bits = std::max(bits + 60, 64 * node.bias.limbs()) + 1;
      break;
    case NodeKind::sum_pool2d:
      bits += 33;
      break;  // at most 2^32 taps
    case NodeKind::add:
    case NodeKind::concat:
      bits += 63 + static_cast<std::size_t>(std::bit_width(Limits::kOperands));
      break;
    default:
      break;
  }
  return WideVector::limbs_for_bits(bits);
}

Interval interval_of(const IntegerNetwork& network, const Node& node, std::size_t limbs) {
  if (node.kind == NodeKind::input) return input_interval(network.encoding, node);
  const Node& operand = network.nodes[node.inputs.front()];
  switch (node.kind) {
    case NodeKind::dense:
    case NodeKind::conv2d:
      return linear_interval(network, node, limbs);
    case NodeKind::sum_pool2d:
      return sum_pool_interval(network, node, limbs);
    case NodeKind::add:
      return add_interval(network, node, limbs);
    case NodeKind::concat:
      return concat_interval(network, node, limbs);
    case NodeKind::flatten:
      return flatten_interval(operand, limbs);
    case NodeKind::relu:
      return relu_interval(operand.bounds, limbs);
    case NodeKind::sign:
      return sign_interval(operand.bounds);
    case NodeKind::rescale:
      return rescale_interval(node, operand.bounds);
    default:
      return widened(operand.bounds, limbs);
  }
}

}  // namespace

Bounds node_bounds(const IntegerNetwork& network, std::size_t index, std::size_t spare_words) {
  const Node& node = network.nodes[index];
  const std::size_t limbs = safe_limbs(network, node);
  if (static_cast<std::size_t>(node.shape.channels) > spare_words / (2 * limbs)) {
    throw InputError("model.too_many_channels", describe(node) +
                                                    ": the bounds of all channels together take more than " +
                                                    std::to_string(Limits::kBoundWords) + " words");
  }
  Interval interval = interval_of(network, node, limbs);
  if (node.ring_bits != 0) keep_to_ring(interval, node.ring_bits);
  if (node.rectify) rectify(interval);
  const std::size_t bits = std::max(interval.low.max_bit_length(), interval.high.max_bit_length());
  if (bits > Limits::kValueBits) {
    throw InputError("model.value_too_large", describe(node) + ": values need " + std::to_string(bits) +
                                                  " bits, at most " + std::to_string(Limits::kValueBits));
  }
  const std::size_t width = WideVector::limbs_for_bits(bits);
  return {interval.low.resized(width), interval.high.resized(width), static_cast<unsigned>(bits)};
}

}  // namespace popcorn::models
