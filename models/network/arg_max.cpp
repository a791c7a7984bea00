#include "models/network/arg_max.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"

namespace popcorn::models {

namespace {

constexpr std::int64_t kMaxOutputs = 4096;
const std::string kPrefix = "arg_max/";
const std::string kKeys = "keys";
const std::string kFlatLogits = "logits";

/// Appends nodes; each method gives the index of the node it made.
class Builder {
 public:
  explicit Builder(IntegerNetwork& network) : network_(network) {}

  /// outputs × inputs weights from a function of (row, column).
  std::size_t dense(const std::string& name, std::size_t input, std::int64_t inputs, std::int64_t outputs,
                    const std::function<std::int32_t(std::int64_t, std::int64_t)>& weight) {
    Node node = make(NodeKind::dense, name, {input}, outputs);
    node.weights.resize(static_cast<std::size_t>(inputs * outputs));
    for (std::int64_t row = 0; row < outputs; ++row) {
      for (std::int64_t column = 0; column < inputs; ++column) {
        node.weights[static_cast<std::size_t>(row * inputs + column)] = weight(row, column);
      }
    }
    node.bias = WideVector(static_cast<std::size_t>(outputs), 1);
    return append(std::move(node));
  }
  std::size_t unary(NodeKind kind, const std::string& name, std::size_t input, std::int64_t size) {
    return append(make(kind, name, {input}, size));
  }
  std::size_t add(const std::string& name, std::size_t left, std::size_t right, std::int64_t size) {
    Node node = make(NodeKind::add, name, {left, right}, size);
    node.multipliers = {1, 1};
    return append(std::move(node));
  }
  Node& node(std::size_t index) { return network_.nodes[index]; }

 private:
  static Node make(NodeKind kind, const std::string& name, std::vector<std::size_t> inputs,
                   std::int64_t size) {
    Node node;
    node.kind = kind;
    node.name = kPrefix + name;
    node.inputs = std::move(inputs);
    node.shape = {size, 1, 1};
    node.scale = {1.0};
    return node;
  }
  std::size_t append(Node node) {
    network_.nodes.push_back(std::move(node));
    return network_.nodes.size() - 1;
  }

  IntegerNetwork& network_;
};

/// max over `count` values of node `values`, in one value.
std::size_t tournament(Builder& build, std::size_t values, std::int64_t count) {
  for (int level = 1; count > 1; ++level) {
    const std::string number = std::to_string(level);
    const std::int64_t half = (count + 1) / 2;
    const bool odd = count % 2 == 1;
    // An odd value out meets nobody: difference 0, and it is its own rest.
    const auto partner = [&](std::int64_t row) { return odd && row == half - 1 ? count - 1 : 2 * row + 1; };
    const std::size_t difference =
        build.dense("difference" + number, values, count, half, [&](std::int64_t row, std::int64_t column) {
          const std::int64_t other = partner(row);
          if (other == 2 * row) return 0;
          return column == 2 * row ? 1 : (column == other ? -1 : 0);
        });
    const std::size_t gain = build.unary(NodeKind::relu, "gain" + number, difference, half);
    const std::size_t rest =
        build.dense("rest" + number, values, count, half,
                    [&](std::int64_t row, std::int64_t column) { return column == partner(row) ? 1 : 0; });
    values = build.add("winner" + number, gain, rest, half);
    count = half;
  }
  return values;
}

}  // namespace

std::size_t logits_node(const IntegerNetwork& network) {
  std::size_t index = network.nodes.size() - 1;
  if (network.answer == Answer::label) {
    // The last of the name: a network may have nodes of that name itself.
    const auto keys =
        std::ranges::find(network.nodes.rbegin(), network.nodes.rend(), kPrefix + kKeys, &Node::name);
    if (keys == network.nodes.rend())
      throw Error("model.arg_max", "the network answers with a label but has no arg-max");
    const std::size_t read = keys->inputs.front();
    if (network.nodes[read].name != kPrefix + kFlatLogits) return read;
    index = read;
  }
  return network.nodes[index].inputs.front();
}

IntegerNetwork with_arg_max(IntegerNetwork network) {
  const std::int64_t count = network.output().shape.size();
  if (count < 2 || count > kMaxOutputs) {
    throw InputError("model.arg_max", "an arg-max takes 2 to " + std::to_string(kMaxOutputs) +
                                          " outputs, the network has " + std::to_string(count));
  }
  Node output = network.nodes.back();
  if (std::ranges::adjacent_find(output.scale, std::not_equal_to<>()) != output.scale.end()) {
    throw InputError("model.arg_max", "the network '" + network.name +
                                          "' has a scale for each class: its largest integer need not be the "
                                          "label");
  }
  network.nodes.pop_back();
  std::size_t logits = output.inputs.front();
  Builder build(network);
  if (network.nodes[logits].shape != Shape{count, 1, 1}) {
    logits = build.unary(NodeKind::flatten, kFlatLogits, logits, count);
  }
  const auto factor = static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint64_t>(count)));
  const std::size_t keys =
      build.dense(kKeys, logits, count, count,
                  [&](std::int64_t row, std::int64_t column) { return row == column ? factor : 0; });
  for (std::int64_t i = 0; i < count; ++i)
    build.node(keys).bias.set_int64(static_cast<std::size_t>(i), factor - 1 - i);
  const std::size_t largest = tournament(build, keys, count);
  const std::size_t minus_largest =
      build.dense("minus_largest", largest, 1, count, [](std::int64_t, std::int64_t) { return -1; });
  const std::size_t gap = build.add("gap", keys, minus_largest, count);
  const std::size_t winner = build.unary(NodeKind::sign, "one_hot", gap, count);
  const std::size_t label = build.dense("label", winner, count, 1, [](std::int64_t, std::int64_t column) {
    return static_cast<std::int32_t>(column);
  });
  build.node(label).bias.set_int64(0, count * (count - 1) / 2);
  output.inputs = {label};
  output.shape = {1, 1, 1};
  output.scale = {1.0};
  network.nodes.push_back(std::move(output));
  network.name += kLabelSuffix;
  network.answer = Answer::label;
  network.softmax = false;
  network.finish();
  return network;
}

}  // namespace popcorn::models
