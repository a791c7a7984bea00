#include "tests/support/random_network.h"

#include <algorithm>

#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/sliding_window.h"
#include "models/network/value_range.h"

namespace popcorn::test {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;
using models::Shape;
using models::Window;

class Builder {
 public:
  Builder(SeededRng& rng, const RandomNetworkOptions& options) : rng_(rng), options_(options) {}

  IntegerNetwork build() {
    network_.name = "random";
    add_input();
    for (std::size_t i = 0; i < options_.nodes; ++i) {
      add_random(options_.kinds[static_cast<std::size_t>(rng_.below(options_.kinds.size()))]);
    }
    join();
    network_.finish();
    return std::move(network_);
  }

 private:
  void add_input() {
    Node node;
    node.kind = NodeKind::input;
    node.shape = {rng_.between(1, options_.max_channels), rng_.between(2, options_.max_extent),
                  rng_.between(2, options_.max_extent)};
    network_.encoding.low = rng_.between(-200, 0);
    network_.encoding.high = rng_.between(1, 255);
    add(std::move(node), {});
  }

  void add_random(NodeKind kind) {
    const std::size_t operand = pick();
    switch (kind) {
      case NodeKind::dense:
        if (is_vector(operand)) add_dense(operand, rng_.between(1, 6));
        break;
      case NodeKind::conv2d:
        add_conv(operand);
        break;
      case NodeKind::sum_pool2d:
      case NodeKind::max_pool2d:
        add_pool(kind, operand);
        break;
      case NodeKind::add:
        add_sum(operand);
        break;
      case NodeKind::concat:
        add_concat(operand);
        break;
      default:
        add_plain(kind, operand);
        break;
    }
  }

  /// Mostly a tensor that nobody reads yet, so that the network gets deep rather than wide.
  std::size_t pick() {
    if (rng_.below(4) == 0) return static_cast<std::size_t>(rng_.below(network_.nodes.size()));
    const std::vector<std::size_t> open = unread();
    return open[static_cast<std::size_t>(rng_.below(open.size()))];
  }

  std::vector<std::size_t> unread() const {
    std::vector<bool> read(network_.nodes.size(), false);
    for (const Node& node : network_.nodes) {
      for (const std::size_t operand : node.inputs) read[operand] = true;
    }
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (!read[i]) open.push_back(i);
    }
    return open;
  }

  const Shape& shape(std::size_t node) const { return network_.nodes[node].shape; }
  bool is_vector(std::size_t node) const { return shape(node).height == 1 && shape(node).width == 1; }

  std::size_t add(Node node, std::vector<std::size_t> inputs) {
    node.name = std::string(to_string(node.kind)) + std::to_string(network_.nodes.size());
    node.inputs = std::move(inputs);
    if (options_.rings && takes_ring(node)) node.ring_bits = static_cast<unsigned>(rng_.between(8, 24));
    // Some nodes with a scale of their own for each channel.
    const std::size_t scales = rng_.below(3) == 0 ? static_cast<std::size_t>(node.shape.channels) : 1;
    for (std::size_t i = 0; i < scales; ++i)
      node.scale.push_back(static_cast<double>(rng_.between(1, 1000)) / 777);
    network_.nodes.push_back(std::move(node));
    return network_.nodes.size() - 1;
  }

  bool takes_ring(const Node& node) {
    switch (node.kind) {
      case NodeKind::dense:
      case NodeKind::conv2d:
        return true;  // else values would grow beyond what a rescale takes
      case NodeKind::sum_pool2d:
      case NodeKind::add:
      case NodeKind::concat:
      case NodeKind::rescale:
        return rng_.below(3) == 0;
      default:
        return false;
    }
  }

  void fill_weights(Node& node, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const bool kept = rng_.below(100) < options_.nonzero_percent;
      node.weights.push_back(
          kept ? static_cast<std::int32_t>(rng_.between(-options_.max_weight, options_.max_weight)) : 0);
    }
    node.bias = WideVector(static_cast<std::size_t>(node.shape.channels),
                           WideVector::limbs_for_bits(options_.bias_bits));
    for (std::size_t i = 0; i < node.bias.size(); ++i) {
      unsigned bits = options_.bias_bits;
      for (std::uint64_t& word : node.bias[i]) {
        word = bits >= 64 ? rng_.next_u64() : rng_.next_u64() & ((std::uint64_t{1} << bits) - 1);
        bits -= std::min(bits, 64U);
      }
      if (rng_.below(2) == 0) {  // the bits' complement: -value - 1
        for (std::uint64_t& word : node.bias[i]) word = ~word;
      }
    }
  }

  std::size_t add_dense(std::size_t operand, std::int64_t outputs) {
    Node node;
    node.kind = NodeKind::dense;
    node.shape = {outputs, 1, 1};
    fill_weights(node, outputs * shape(operand).channels);
    return add(std::move(node), {operand});
  }

  Window random_window(const Shape& input) {
    Window window;
    window.kernel_height = rng_.between(1, 3);
    window.kernel_width = rng_.between(1, 3);
    window.stride_height = rng_.between(1, 2);
    window.stride_width = rng_.between(1, 2);
    window.dilation_height = rng_.between(1, 2);
    window.dilation_width = rng_.between(1, 2);
    window.pad_top = rng_.between(0, window.kernel_height - 1);
    window.pad_bottom = rng_.between(0, window.kernel_height - 1);
    window.pad_left = rng_.between(0, window.kernel_width - 1);
    window.pad_right = rng_.between(0, window.kernel_width - 1);
    if (windowed(window, input, 1).size() == 0) window = Window{};
    return window;
  }

  static Shape windowed(const Window& w, const Shape& input, std::int64_t channels) {
    return {channels,
            models::window_outputs(input.height, w.kernel_height, w.stride_height, w.pad_top, w.pad_bottom,
                                   w.dilation_height),
            models::window_outputs(input.width, w.kernel_width, w.stride_width, w.pad_left, w.pad_right,
                                   w.dilation_width)};
  }

  void add_conv(std::size_t operand) {
    const Shape input = shape(operand);
    Node node;
    node.kind = NodeKind::conv2d;
    node.window = random_window(input);
    if (rng_.below(3) == 0) node.groups = input.channels;  // depthwise
    if (rng_.below(3) == 0 && input.channels % 2 == 0) node.groups = 2;
    const std::int64_t outputs =
        node.groups * rng_.between(1, std::max<std::int64_t>(1, options_.max_channels / node.groups));
    node.shape = windowed(node.window, input, outputs);
    fill_weights(node, outputs * (input.channels / node.groups) * node.window.kernel_height *
                           node.window.kernel_width);
    add(std::move(node), {operand});
  }

  static bool every_window_has_a_value(const Window& window, const Shape& input, const Shape& output) {
    return models::vertical_axis(window, input, output).taps_inside().begin > 0 &&
           models::horizontal_axis(window, input, output).taps_inside().begin > 0;
  }

  void add_pool(NodeKind kind, std::size_t operand) {
    const Shape input = shape(operand);
    Node node;
    node.kind = kind;
    node.window = random_window(input);
    node.shape = windowed(node.window, input, input.channels);
    if (kind == NodeKind::max_pool2d && !every_window_has_a_value(node.window, input, node.shape)) return;
    add(std::move(node), {operand});
  }

  void add_plain(NodeKind kind, std::size_t operand) {
    Node node;
    node.kind = kind;
    node.shape = shape(operand);
    if (kind == NodeKind::rescale) {
      node.rectify = rng_.below(2) == 0;
      const std::size_t shifts = rng_.below(3) == 0 ? 1 : static_cast<std::size_t>(node.shape.channels);
      for (std::size_t i = 0; i < shifts; ++i) node.shifts.push_back(rng_.between(0, 9));
    }
    if (kind == NodeKind::flatten) node.shape = {shape(operand).size(), 1, 1};
    add(std::move(node), {operand});
  }

  std::vector<std::int64_t> random_multipliers(std::size_t count) {
    std::vector<std::int64_t> multipliers(count);
    for (std::int64_t& factor : multipliers) factor = rng_.between(1, options_.max_multiplier);
    return multipliers;
  }

  /// The operand and up to two more tensors that `matches`; at worst itself again.
  template <typename Matches>
  std::vector<std::size_t> partners(std::size_t operand, const Matches& matches) {
    std::vector<std::size_t> operands = {operand};
    for (std::size_t i = network_.nodes.size(); i-- > 0 && operands.size() < 3;) {
      if (i != operand && matches(shape(i))) operands.push_back(i);
    }
    if (operands.size() < 2) operands.push_back(operand);
    return operands;
  }

  void add_sum(std::size_t operand) {
    Node node;
    node.kind = NodeKind::add;
    node.shape = shape(operand);
    const std::vector<std::size_t> operands =
        partners(operand, [&](const Shape& other) { return other == node.shape; });
    node.multipliers = random_multipliers(operands.size());
    add(std::move(node), operands);
  }

  std::size_t add_concat_of(const std::vector<std::size_t>& operands) {
    Node node;
    node.kind = NodeKind::concat;
    node.shape = shape(operands.front());
    node.shape.channels = 0;
    for (const std::size_t operand : operands) node.shape.channels += shape(operand).channels;
    node.multipliers = random_multipliers(operands.size());
    return add(std::move(node), operands);
  }

  void add_concat(std::size_t operand) {
    const Shape like = shape(operand);
    if (like.channels > 8 * options_.max_channels) return;  // doubling again and again would explode
    add_concat_of(partners(operand, [&](const Shape& other) {
      return other.height == like.height && other.width == like.width && other.channels <= like.channels;
    }));
  }

  /// Everything that nobody reads yet goes into one dense layer, so that the output depends on all nodes.
  void join() {
    std::vector<std::size_t> open = unread();
    for (std::size_t& node : open) {
      if (is_vector(node)) continue;
      add_plain(NodeKind::flatten, node);
      node = network_.nodes.size() - 1;
    }
    const std::size_t joined = open.size() == 1 ? open.front() : add_concat_of(open);
    const std::size_t last = add_dense(joined, rng_.between(2, 5));
    add_plain(NodeKind::output, last);
  }

  SeededRng& rng_;
  const RandomNetworkOptions& options_;
  IntegerNetwork network_;
};

}  // namespace

RandomNetworkOptions requantised_options() {
  RandomNetworkOptions options;
  options.rings = true;
  options.kinds.insert(options.kinds.end(), 4, NodeKind::rescale);
  return options;
}

IntegerNetwork random_network(SeededRng& rng, const RandomNetworkOptions& options) {
  return Builder(rng, options).build();
}

bool fit_rings(IntegerNetwork& network, const WideVector& input) {
  for (int attempt = 0; attempt < 60; ++attempt) {
    models::RangeCounts counts(network);
    models::evaluate_all(network, input, {models::Rounding(), 0, &counts});
    if (counts.beyond() == 0) return true;
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
      if (counts.beyond(i) == 0) continue;
      // The ring that is too narrow is the node's own, or that of what it reads.
      std::size_t at = i;
      if (network.nodes[i].kind == NodeKind::rescale || network.nodes[i].kind == NodeKind::max_pool2d) {
        if (network.nodes[i].ring_bits != 0) ++network.nodes[i].ring_bits;
        at = network.nodes[i].inputs.front();
        while (network.nodes[at].ring_bits == 0 && !network.nodes[at].inputs.empty())
          at = network.nodes[at].inputs.front();
      }
      if (network.nodes[at].ring_bits == 0) return false;
      if (++network.nodes[at].ring_bits > 24) return false;
    }
    network.finish();
  }
  return false;
}

WideVector random_input(SeededRng& rng, const IntegerNetwork& network) {
  WideVector input(static_cast<std::size_t>(network.input().shape.size()), 1);
  const std::int64_t low = network.encoding.low;
  const std::int64_t high = network.encoding.high;
  for (std::size_t i = 0; i < input.size(); ++i) {
    switch (rng.below(6)) {
      case 0:
        input.set_int64(i, low);
        break;
      case 1:
        input.set_int64(i, high);
        break;
      case 2:
        input.set_int64(i, std::clamp<std::int64_t>(0, low, high));
        break;
      default:
        input.set_int64(i, rng.between(low, high));
        break;
    }
  }
  return input;
}

}  // namespace popcorn::test
