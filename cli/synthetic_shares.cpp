#include "cli/synthetic_shares.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/random_weights.h"
#include "models/file/popcorn_format.h"

namespace popcorn::cli {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

constexpr double kLargestDeviation = 64;  // of values of eight bits: four deviations fit
constexpr double kDeviations = 6;         // that a ring holds, and a bit more
constexpr unsigned kKeptBits = 10;        // κ
constexpr double kPixelSquare = 5600;     // mean square of a centred pixel
constexpr double kLargerInMaximum = 2;    // a maximum's mean square against one value's

class Rounder {
 public:
  explicit Rounder(const IntegerNetwork& exact) : exact_(exact), network_(exact), place_(exact.nodes.size()) {
    network_.nodes.clear();
  }

  IntegerNetwork run() {
    for (std::size_t i = 0; i < exact_.nodes.size(); ++i) take_over(i);
    network_.facts.emplace_back("activation_bits", "8");
    network_.finish();
    return std::move(network_);
  }

 private:
  /// What is known of a new node's values.
  struct Values {
    double square = 0;   ///< mean square
    bool large = false;  ///< grew since the last rounding
  };

  std::size_t append(Node node, std::vector<std::size_t> inputs, Values values) {
    node.inputs = std::move(inputs);
    node.bounds = {};
    network_.nodes.push_back(std::move(node));
    values_.push_back(values);
    return network_.nodes.size() - 1;
  }

  void take_over(std::size_t index) {
    Node node = exact_.nodes[index];
    std::vector<std::size_t> inputs;
    const bool rounds_first = models::takes_weights(node.kind) || node.kind == NodeKind::concat;
    for (const std::size_t operand : node.inputs) {
      const std::size_t from = place_[operand];
      inputs.push_back(rounds_first && values_[from].large ? signed_rescale(from) : from);
    }
    const Values values = inputs.empty() ? Values{kPixelSquare, false} : computed(node, inputs);
    if (node.kind == NodeKind::relu) {
      place_[index] =
          append_rescale(std::move(node), inputs.front(), true, meets(index, {NodeKind::max_pool2d}));
      return;
    }
    const bool grows =
        models::takes_weights(node.kind) || node.kind == NodeKind::add || node.kind == NodeKind::sum_pool2d;
    if (grows) {
      const bool meets_signed_step =
          meets(index, {NodeKind::max_pool2d, NodeKind::dense, NodeKind::conv2d, NodeKind::concat});
      node.ring_bits = ring_for(values, meets_signed_step);
    }
    place_[index] = append(std::move(node), std::move(inputs), values);
  }

  Values computed(Node& node, const std::vector<std::size_t>& inputs) const {
    Values values = values_[inputs.front()];
    if (models::takes_weights(node.kind)) {
      double squares = 0;
      for (const std::int32_t w : node.weights) squares += static_cast<double>(w) * w;
      return {values.square * squares / static_cast<double>(node.shape.channels), true};
    }
    if (node.kind == NodeKind::max_pool2d) values.square *= kLargerInMaximum;
    if (node.kind == NodeKind::sum_pool2d) {
      const auto taps = static_cast<double>(node.window.kernel_height * node.window.kernel_width);
      values.square *= taps * taps;
    }
    if (node.kind == NodeKind::add) return aligned_sum(node, inputs);
    return values;
  }

  /// The operands' multipliers are powers of two that make their values alike.
  Values aligned_sum(Node& node, const std::vector<std::size_t>& inputs) const {
    double largest = 0, sum = 0;
    for (const std::size_t operand : inputs) largest = std::max(largest, values_[operand].square);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const double square = values_[inputs[k]].square;
      const auto digits = static_cast<unsigned>(std::lround(std::log2(largest / square) / 2));
      node.multipliers[k] = std::int64_t{1} << digits;
      sum += square * std::ldexp(1.0, static_cast<int>(2 * digits));
    }
    return {sum, true};
  }

  /// A sign, the margin, and a bit where a step on signed values comes next.
  static unsigned ring_for(Values values, bool meets_signed_step) {
    const double largest = kDeviations * std::sqrt(values.square);
    return static_cast<unsigned>(std::ilogb(largest) + 1) + 2 + (meets_signed_step ? 1 : 0);
  }

  std::size_t append_rescale(Node node, std::size_t from, bool rectify, bool meets_signed_step) {
    const double deviation = std::sqrt(values_[from].square);
    const int shift = std::max(0, static_cast<int>(std::ceil(std::log2(deviation / kLargestDeviation))));
    node.kind = NodeKind::rescale;
    node.rectify = rectify;
    node.shifts = {shift};
    node.ring_bits = kKeptBits + (meets_signed_step ? 1 : 0);
    const double square = values_[from].square * std::ldexp(1.0, -2 * shift);
    return append(std::move(node), {from}, {rectify ? square / 2 : square, false});
  }

  /// One for all that read the node.
  std::size_t signed_rescale(std::size_t from) {
    const auto found = signed_rescales_.find(from);
    if (found != signed_rescales_.end()) return found->second;
    Node node;
    node.name = network_.nodes[from].name + ".rescale";
    node.shape = network_.nodes[from].shape;
    node.scale = {1.0};
    const std::size_t place = append_rescale(std::move(node), from, false, false);
    signed_rescales_.emplace(from, place);
    return place;
  }

  /// Do the exact node's values come to one of these kinds?
  bool meets(std::size_t index, const std::vector<NodeKind>& kinds) const {
    for (const Node& reader : exact_.nodes) {
      if (std::ranges::find(reader.inputs, index) == reader.inputs.end()) continue;
      if (std::ranges::find(kinds, reader.kind) != kinds.end()) return true;
    }
    return false;
  }

  const IntegerNetwork& exact_;
  IntegerNetwork network_;
  std::vector<std::size_t> place_;  // by exact node: the new one that stands for it
  std::vector<Values> values_;      // by new node
  std::map<std::size_t, std::size_t> signed_rescales_;
};

}  // namespace

IntegerNetwork requantised_synthetic_network(const models::ZooNetwork& zoo) {
  return Rounder(synthetic_network(zoo)).run();
}

}  // namespace popcorn::cli
