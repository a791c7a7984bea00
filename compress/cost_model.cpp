#include "compress/cost_model.h"

#include <algorithm>
#include <cmath>

namespace popcorn::compress {

namespace {

constexpr std::uint64_t kDenseMagnitude = 127;

std::uint64_t unsigned_size(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

std::uint64_t positions(const models::Node& node) {
  return node.kind == models::NodeKind::conv2d ? unsigned_size(node.shape.height * node.shape.width) : 1;
}

std::uint64_t weighted_sum_multiplications(const models::Node& node) {
  const std::size_t rows = static_cast<std::size_t>(node.shape.channels);
  const std::size_t row = node.weights.size() / rows;
  std::uint64_t sum = 0;
  for (std::size_t o = 0; o < rows; ++o) {
    std::uint64_t largest = 0;
    for (std::size_t i = o * row; i < (o + 1) * row; ++i) {
      sum += node.weights[i] != 0 ? 1 : 0;
      largest = std::max<std::uint64_t>(largest, static_cast<std::uint64_t>(std::abs(node.weights[i])));
    }
    sum += largest > 1 ? largest - 1 : 0;
  }
  return sum * positions(node);
}

/// Sign tests of a step: one a neuron for ReLU and sign, one a loser for a tournament of maxima.
std::uint64_t sign_tests(const models::IntegerNetwork& network, const models::Node& node) {
  const std::uint64_t outputs = unsigned_size(node.shape.size());
  if (node.kind == models::NodeKind::relu || node.kind == models::NodeKind::sign) return outputs;
  if (node.kind != models::NodeKind::max_pool2d) return 0;
  const auto& operand = network.nodes[node.inputs.front()];
  const std::uint64_t window = unsigned_size(node.window.kernel_height * node.window.kernel_width);
  return operand.kind == models::NodeKind::sign ? outputs : outputs * (window - 1);
}

/// Values with a mask of σ bits and a blinded copy of κ bits, packed into plaintexts.
std::uint64_t packed_ciphertexts(std::uint64_t values, unsigned bound_bits, const CostSettings& settings) {
  const std::uint64_t slot =
      2 * std::uint64_t{bound_bits} + 4 + settings.statistical_bits + settings.blinding_bits;
  const std::uint64_t per_ciphertext = std::max<std::uint64_t>(1, (settings.key_bits - 2) / slot);
  return (values + per_ciphertext - 1) / per_ciphertext;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  multiplications += other.multiplications;
  ciphertexts_up += other.ciphertexts_up;
  ciphertexts_down += other.ciphertexts_down;
  return *this;
}

Cost node_cost(const models::IntegerNetwork& network, std::size_t index, const CostSettings& settings) {
  const models::Node& node = network.nodes[index];
  Cost cost;
  switch (node.kind) {
    case models::NodeKind::input:
      cost.ciphertexts_up = unsigned_size(node.shape.size());
      break;
    case models::NodeKind::output:
      cost.ciphertexts_down = unsigned_size(node.shape.size());
      break;
    case models::NodeKind::dense:
    case models::NodeKind::conv2d:
      cost.multiplications = weighted_sum_multiplications(node);
      break;
    case models::NodeKind::sum_pool2d:
      cost.multiplications = unsigned_size(node.shape.size()) *
                             (unsigned_size(node.window.kernel_height * node.window.kernel_width) - 1);
      break;
    case models::NodeKind::add:
      for (const std::int64_t m : node.multipliers) {
        cost.multiplications += unsigned_size(node.shape.size()) *
                                static_cast<std::uint64_t>(std::log2(static_cast<double>(m)) * 1.5);
      }
      cost.multiplications += unsigned_size(node.shape.size());
      break;
    default: {
      const std::uint64_t tests = sign_tests(network, node);
      cost.ciphertexts_up = node.kind == models::NodeKind::sign ? tests : 2 * tests;
      if (tests > 0) {
        cost.ciphertexts_down =
            packed_ciphertexts(tests, network.nodes[node.inputs.front()].bounds.bits + 1, settings);
      }
      break;
    }
  }
  return cost;
}

Cost network_cost(const models::IntegerNetwork& network, const CostSettings& settings) {
  Cost sum;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) sum += node_cost(network, i, settings);
  return sum;
}

std::uint64_t dense_multiplications(const models::Node& node) {
  if (node.kind != models::NodeKind::dense && node.kind != models::NodeKind::conv2d) return 0;
  return (node.weights.size() + unsigned_size(node.shape.channels) * (kDenseMagnitude - 1)) * positions(node);
}

std::uint64_t ciphertext_bytes(const CostSettings& settings) {
  return 2 * settings.key_bits / 8;
}

}  // namespace popcorn::compress
