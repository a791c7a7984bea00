#include "models/evaluation/partial_sums.h"

#include <algorithm>
#include <bit>

#include "models/file/popcorn_format.h"

namespace popcorn::models {

namespace {

constexpr unsigned kNarrowBits = 53;
/// Below 2^53 · 2^31 · 2^29 plus 2^53.
using Narrow = unsigned __int128;

unsigned bits_of(Narrow value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  return static_cast<unsigned>(high != 0 ? 64 + std::bit_width(high)
                                         : std::bit_width(static_cast<std::uint64_t>(value)));
}

/// Bits of factor · (2^operand_bits − 1) + 2^bias_bits, or a little more.
unsigned wide_bits(std::uint64_t factor, unsigned operand_bits, unsigned bias_bits) {
  return std::max(operand_bits + static_cast<unsigned>(std::bit_width(factor)), bias_bits) + 1;
}

unsigned layer_bits(const Node& node, unsigned operand_bits) {
  const std::size_t per_output = node.weights.size() / node.bias.size();
  unsigned bits = 0;
  for (std::size_t output = 0; output < node.bias.size(); ++output) {
    std::uint64_t weights = 0;
    for (std::size_t i = output * per_output; i < (output + 1) * per_output; ++i) {
      weights += static_cast<std::uint64_t>(std::abs(std::int64_t{node.weights[i]}));
    }
    const auto bias_bits = static_cast<unsigned>(node.bias.bit_length(output));
    if (operand_bits > kNarrowBits || bias_bits > kNarrowBits) {
      bits = std::max(bits, wide_bits(weights, operand_bits, bias_bits));
      continue;
    }
    const auto bias = static_cast<Narrow>(std::abs(node.bias.to_int64(output)));
    bits = std::max(bits, bits_of(weights * ((Narrow{1} << operand_bits) - 1) + bias));
  }
  return bits;
}

}  // namespace

unsigned partial_sum_bits(const IntegerNetwork& network, std::size_t index) {
  const Node& node = network.nodes[index];
  if (node.kind == NodeKind::input) return node.bounds.bits;
  const auto operand_bits = [&](std::size_t k) { return network.nodes[node.inputs[k]].bounds.bits; };
  unsigned bits = node.bounds.bits;
  if (takes_weights(node.kind)) bits = std::max(bits, layer_bits(node, operand_bits(0)));
  if (node.kind == NodeKind::sum_pool2d) {
    const auto window = static_cast<std::uint64_t>(node.window.kernel_height * node.window.kernel_width);
    bits = std::max(bits, operand_bits(0) > kNarrowBits
                              ? wide_bits(window, operand_bits(0), 0)
                              : bits_of(window * ((Narrow{1} << operand_bits(0)) - 1)));
  }
  if (takes_multipliers(node.kind)) {
    Narrow sum = 0;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const auto factor = static_cast<std::uint64_t>(node.multipliers[k]);
      if (operand_bits(k) > kNarrowBits) {
        bits = std::max(bits, wide_bits(factor, operand_bits(k), 0) +
                                  static_cast<unsigned>(std::bit_width(node.inputs.size())));
      } else {
        sum += factor * ((Narrow{1} << operand_bits(k)) - 1);
      }
    }
    bits = std::max(bits, bits_of(sum));
  }
  for (std::size_t k = 0; k < node.inputs.size(); ++k) bits = std::max(bits, operand_bits(k));
  return bits;
}

}  // namespace popcorn::models
