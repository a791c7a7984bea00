#include "compress/onnx/integer_onnx.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "compress/onnx/onnx_metadata.h"
#include "compress/onnx/onnx_writer.h"
#include "models/evaluation/partial_sums.h"
#include "models/input/input_encoding.h"

namespace popcorn::compress {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

constexpr unsigned kFloatBits = 24, kDoubleBits = 53;       // of the mantissas
constexpr unsigned kFloatRange = 120, kDoubleRange = 1000;  // below the exponents' ends

class IntegerWriter {
 public:
  IntegerWriter(const IntegerNetwork& network, bool doubles, onnx::GraphProto& out)
      : network_(network), doubles_(doubles), out_(out) {
    for (const Node& node : network.nodes) names_.insert(node.name);
  }

  void write() {
    out_.set_name(network_.name);
    for (std::size_t i = 0; i < network_.nodes.size(); ++i) {
      flat_.push_back(false);
      if (i > 0) write_node(i);
    }
    const Node &first = network_.input(), &last = network_.output();
    const int type = doubles_ ? onnx::TensorProto::DOUBLE : onnx::TensorProto::FLOAT;
    describe_tensor(*out_.add_input(), first.name, dims(first, false), type);
    describe_tensor(*out_.add_output(), last.name, dims(last, flat_.back()), type);
  }

 private:
  static std::vector<std::int64_t> dims(const Node& node, bool flat) {
    if (flat) return {node.shape.channels};
    return {node.shape.channels, node.shape.height, node.shape.width};
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int k = 2; !names_.insert(name).second; ++k) name = wanted + "_" + std::to_string(k);
    return name;
  }

  onnx::NodeProto& add(const char* op, const std::string& name, const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = *out_.add_node();
    node.set_op_type(op);
    node.set_name(name);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(name);
    return node;
  }

  /// What the node computes before its ring and its ReLU gets the node's name only where neither follows.
  void write_node(std::size_t index) {
    Node node = network_.nodes[index];
    const bool wraps = node.ring_bits != 0;
    if (wraps || node.rectify) node.name = unique(node.name + ".exact");
    write_exact(node, index);
    const std::string& name = network_.nodes[index].name;
    if (wraps) wrap(node.name, node.ring_bits, node.rectify ? unique(name + ".signed") : name);
    if (node.rectify) add("Relu", name, {wraps ? last_output() : node.name});
  }

  const std::string& last_output() const { return out_.node(out_.node_size() - 1).output(0); }

  /// @param node the network's nodes[index] under the name that its value gets
  void write_exact(const Node& node, std::size_t index) {
    const std::size_t first = node.inputs.front();
    flat_[index] = flat_[first];
    switch (node.kind) {
      case NodeKind::dense:
        dense(node);
        flat_[index] = true;
        break;
      case NodeKind::conv2d:
        convolution(node);
        flat_[index] = false;
        break;
      case NodeKind::sum_pool2d:
        sum_pool(node);
        flat_[index] = false;
        break;
      case NodeKind::max_pool2d:
        add_window(add("MaxPool", node.name, {picture(first)}), node.window, true);
        flat_[index] = false;
        break;
      case NodeKind::relu:
        add("Relu", node.name, {operand(first)});
        break;
      case NodeKind::sign:
        sign(node);
        break;
      case NodeKind::add:
        flat_[index] = sum(node);
        break;
      case NodeKind::concat:
        flat_[index] = concat(node);
        break;
      case NodeKind::flatten:
        add_attribute(add("Flatten", node.name, {operand(first)}), "axis", 1);
        flat_[index] = true;
        break;
      case NodeKind::output:
        add("Identity", node.name, {operand(first)});
        break;
      case NodeKind::rescale:
        rescale(node, flat_[first]);
        break;
      case NodeKind::input:
        break;
    }
  }

  /// ⌊x · factor + 1/2⌋ under a new name, or the given one.
  void nearest(const std::string& value, const std::string& factor, const std::string& name) {
    const std::string product = unique(name + ".product"), shifted = unique(name + ".shifted");
    add("Mul", product, {value, factor});
    add("Add", shifted, {product, tensor(name + ".half", {}, {0.5})});
    add("Floor", name, {shifted});
  }

  void rescale(const Node& node, bool flat) {
    std::vector<double> factors;
    for (const std::int64_t shift : node.shifts) factors.push_back(std::ldexp(1.0, -static_cast<int>(shift)));
    std::vector<std::int64_t> dims;
    if (factors.size() > 1) dims = {static_cast<std::int64_t>(factors.size())};
    if (factors.size() > 1 && !flat) dims.insert(dims.end(), {1, 1});
    nearest(operand(node.inputs.front()), tensor(node.name + ".unit", dims, factors), node.name);
  }

  /// The representative in [−2^(bits − 1), 2^(bits − 1)).
  void wrap(const std::string& value, unsigned bits, const std::string& name) {
    const double size = std::ldexp(1.0, static_cast<int>(bits));
    const std::string turns = unique(name + ".turns"), beyond = unique(name + ".beyond");
    nearest(value, tensor(name + ".turn", {}, {1 / size}), turns);
    add("Mul", beyond, {turns, tensor(name + ".size", {}, {size})});
    add("Sub", name, {value, beyond});
  }

  const std::string& operand(std::size_t index) const { return network_.nodes[index].name; }

  /// The value as batch × channels × height × width.
  std::string picture(std::size_t index) {
    if (!flat_[index]) return operand(index);
    const std::string name = unique(operand(index) + ".picture"), axes = unique(name + ".axes");
    add_initializer(out_, axes, {2}, std::vector<std::int64_t>{2, 3});
    add("Unsqueeze", name, {operand(index), axes});
    return name;
  }

  /// The value as batch × size.
  std::string vector(std::size_t index) {
    if (flat_[index]) return operand(index);
    const std::string name = unique(operand(index) + ".vector");
    add_attribute(add("Flatten", name, {operand(index)}), "axis", 1);
    return name;
  }

  std::string tensor(const std::string& wanted, const std::vector<std::int64_t>& dims,
                     const std::vector<double>& values) {
    const std::string name = unique(wanted);
    if (doubles_) {
      add_initializer(out_, name, dims, values);
    } else {
      add_initializer(out_, name, dims, std::vector<float>(values.begin(), values.end()));
    }
    return name;
  }

  std::vector<std::string> layer_tensors(const Node& node, std::vector<std::int64_t> dims) {
    const std::string weights =
        tensor(node.name + ".weight", dims, {node.weights.begin(), node.weights.end()});
    std::vector<double> bias(node.bias.size());
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = node.bias.to_double(i);
    return {weights, tensor(node.name + ".bias", {dims.front()}, bias)};
  }

  void dense(const Node& node) {
    std::vector<std::string> inputs = {vector(node.inputs.front())};
    const std::vector<std::string> parameters = layer_tensors(
        node, {node.shape.channels, static_cast<std::int64_t>(node.weights.size()) / node.shape.channels});
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    add_attribute(add("Gemm", node.name, inputs), "transB", 1);
  }

  void convolution(const Node& node) {
    std::vector<std::string> inputs = {picture(node.inputs.front())};
    const models::Window& w = node.window;
    const std::int64_t row = static_cast<std::int64_t>(node.weights.size()) / node.shape.channels;
    const std::vector<std::string> parameters = layer_tensors(
        node,
        {node.shape.channels, row / (w.kernel_height * w.kernel_width), w.kernel_height, w.kernel_width});
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    onnx::NodeProto& conv = add("Conv", node.name, inputs);
    add_window(conv, w, true);
    add_attribute(conv, "group", node.groups);
  }

  /// AveragePool would divide.
  void sum_pool(const Node& node) {
    const models::Window& w = node.window;
    const std::int64_t channels = node.shape.channels;
    const auto count = static_cast<std::size_t>(channels * w.kernel_height * w.kernel_width);
    const std::string ones = tensor(node.name + ".ones", {channels, 1, w.kernel_height, w.kernel_width},
                                    std::vector<double>(count, 1));
    onnx::NodeProto& conv = add("Conv", node.name, {picture(node.inputs.front()), ones});
    add_window(conv, w, true);
    add_attribute(conv, "group", channels);
  }

  void sign(const Node& node) {
    const std::string shifted = unique(node.name + ".shifted"), half = tensor(node.name + ".half", {}, {0.5});
    add("Add", shifted, {operand(node.inputs.front()), half});
    add("Sign", node.name, {shifted});
  }

  /// All operands of `node` in one layout, multiplied; says which layout.
  std::vector<std::string> aligned(const Node& node, bool& flat) {
    flat = std::all_of(node.inputs.begin(), node.inputs.end(), [&](std::size_t k) { return flat_[k]; });
    std::vector<std::string> result;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const std::size_t input = node.inputs[k];
      std::string value = flat ? operand(input) : picture(input);
      if (node.multipliers[k] != 1) {
        const std::string factor =
            tensor(node.name + ".multiplier", {}, {static_cast<double>(node.multipliers[k])});
        const std::string product = unique(node.name + ".product");
        add("Mul", product, {value, factor});
        value = product;
      }
      result.push_back(value);
    }
    return result;
  }

  bool sum(const Node& node) {
    bool flat = false;
    const std::vector<std::string> terms = aligned(node, flat);
    if (terms.size() == 1) add("Identity", node.name, terms);
    std::string so_far = terms.front();
    for (std::size_t k = 1; k < terms.size(); ++k) {
      const std::string name = k + 1 == terms.size() ? node.name : unique(node.name + ".sum");
      add("Add", name, {so_far, terms[k]});
      so_far = name;
    }
    return flat;
  }

  bool concat(const Node& node) {
    bool flat = false;
    const std::vector<std::string> parts = aligned(node, flat);
    add_attribute(add("Concat", node.name, parts), "axis", 1);
    return flat;
  }

  const IntegerNetwork& network_;
  bool doubles_;
  onnx::GraphProto& out_;
  std::set<std::string> names_;
  std::vector<bool> flat_;  ///< per node: ONNX sees batch × size
};

/// Bits of the mantissa that the node needs.
unsigned needed_bits(const IntegerNetwork& network, std::size_t index) {
  const unsigned bits = models::partial_sum_bits(network, index);
  const Node& node = network.nodes[index];
  const bool adds_half = node.kind == NodeKind::sign || node.kind == NodeKind::rescale || node.ring_bits != 0;
  return adds_half ? bits + 1 : bits;
}

std::vector<std::string> nodes_beyond(const IntegerNetwork& network, unsigned bits) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (needed_bits(network, i) > bits) names.push_back(network.nodes[i].name);
  }
  return names;
}

void add_description(const IntegerNetwork& network, bool exact, onnx::ModelProto& model) {
  const auto channels = static_cast<std::size_t>(network.encoding.shape.channels);
  std::vector<double> mean(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const std::vector<std::int64_t>& offset = network.encoding.offset;
    mean[c] = static_cast<double>(offset[offset.size() == 1 ? 0 : c]) / 255;
  }
  add_metadata(model, kMetaName, network.name);
  add_metadata(model, kMetaDescription, network.description);
  add_metadata(model, kMetaEncoding, models::encoding_to_json(network.encoding));
  add_metadata(model, kMetaMean, comma_separated(mean));
  add_metadata(model, kMetaDeviation, comma_separated(std::vector<double>(channels, 1.0 / 255)));
  if (!network.labels.empty()) add_metadata(model, kMetaLabels, nlohmann::json(network.labels).dump());
  add_metadata(model, kMetaSoftmax, network.softmax ? "true" : "false");
  add_metadata(model, kMetaInteger, network.config_id());
  add_metadata(model, kMetaExact, exact ? "true" : "false");
  add_metadata(model, kMetaScale, comma_separated(network.output().scale));
}

}  // namespace

IntegerOnnx integer_onnx(const IntegerNetwork& network, OnnxNumbers numbers) {
  IntegerOnnx result;
  result.double_precision = numbers == OnnxNumbers::double_precision ||
                            (numbers == OnnxNumbers::automatic && !nodes_beyond(network, kFloatBits).empty());
  result.inexact = nodes_beyond(network, result.double_precision ? kDoubleBits : kFloatBits);
  const std::vector<std::string> out_of_range =
      nodes_beyond(network, result.double_precision ? kDoubleRange : kFloatRange);
  if (!out_of_range.empty()) {
    throw InputError("model.value_too_large",
                     "node '" + out_of_range.front() + "': its values are too large for " +
                         (result.double_precision ? "double" : "single") + "-precision ONNX");
  }
  onnx::ModelProto model = start_model();
  IntegerWriter(network, result.double_precision, *model.mutable_graph()).write();
  add_description(network, result.inexact.empty(), model);
  result.file = serialise_model(model);
  return result;
}

}  // namespace popcorn::compress
