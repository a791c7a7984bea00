#include "compress/onnx/onnx_export.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "compress/onnx/onnx_metadata.h"
#include "compress/onnx/onnx_writer.h"
#include "models/input/input_encoding.h"

namespace popcorn::compress {

namespace {

class GraphWriter {
 public:
  GraphWriter(const FloatGraph& graph, onnx::GraphProto& out) : graph_(graph), out_(out) {}

  void write() {
    out_.set_name(graph_.name);
    const models::Shape& shape = graph_.input().shape;
    describe_tensor(*out_.add_input(), graph_.input().name, {shape.channels, shape.height, shape.width});
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) write_node(graph_.nodes[i]);
    const FloatNode& last = graph_.output();
    if (flat(last)) {
      describe_tensor(*out_.add_output(), last.name, {last.shape.channels});
    } else {
      describe_tensor(*out_.add_output(), last.name,
                      {last.shape.channels, last.shape.height, last.shape.width});
    }
  }

 private:
  /// Whether ONNX sees the value as batch × size: everything after a flatten or dense layer.
  bool flat(const FloatNode& node) const {
    if (node.kind == FloatKind::dense || node.kind == FloatKind::flatten) return true;
    return node.kind != FloatKind::input && node.kind != FloatKind::conv2d &&
           flat(graph_.nodes[node.inputs.front()]);
  }

  void write_node(const FloatNode& node) {
    onnx::NodeProto& out = *out_.add_node();
    out.set_name(node.name);
    out.add_output(node.name);
    for (const std::size_t input : node.inputs) out.add_input(graph_.nodes[input].name);
    switch (node.kind) {
      case FloatKind::conv2d:
        convolution(node, out);
        break;
      case FloatKind::dense:
        dense(node, out);
        break;
      case FloatKind::batch_norm:
        batch_norm(node, out);
        break;
      case FloatKind::affine:
        affine(node, out);
        break;
      case FloatKind::relu:
        out.set_op_type("Relu");
        break;
      case FloatKind::sign:
        out.set_op_type("Sign");
        break;
      case FloatKind::clip:
        if (!node.gamma.empty())
          throw InputError("export.clip", "node \"" + node.name + "\": Clip knows no limit per channel");
        out.set_op_type("Clip");
        add_tensor(out, node.name + ".min", {}, {0});
        add_tensor(out, node.name + ".max", {}, {node.upper});
        break;
      case FloatKind::max_pool2d:
        out.set_op_type("MaxPool");
        add_window(out, node.window, true);
        break;
      case FloatKind::average_pool2d:
        out.set_op_type("AveragePool");
        add_window(out, node.window, false);
        add_attribute(out, "count_include_pad", 1);
        break;
      case FloatKind::add:
        out.set_op_type("Add");
        break;
      case FloatKind::concat:
        out.set_op_type("Concat");
        add_attribute(out, "axis", 1);
        break;
      case FloatKind::flatten:
        out.set_op_type("Flatten");
        add_attribute(out, "axis", 1);
        break;
      case FloatKind::input:
        break;
    }
  }

  void convolution(const FloatNode& node, onnx::NodeProto& out) {
    out.set_op_type("Conv");
    add_window(out, node.window, true);
    add_attribute(out, "group", node.groups);
    const auto outputs = static_cast<std::int64_t>(node.bias.size());
    const std::int64_t kernel = node.window.kernel_height * node.window.kernel_width;
    const std::int64_t inputs = static_cast<std::int64_t>(node.weights.size()) / outputs / kernel;
    layer_tensors(node, out, {outputs, inputs, node.window.kernel_height, node.window.kernel_width});
  }

  void dense(const FloatNode& node, onnx::NodeProto& out) {
    out.set_op_type("Gemm");
    add_attribute(out, "transB", 1);
    const auto outputs = static_cast<std::int64_t>(node.bias.size());
    layer_tensors(node, out, {outputs, static_cast<std::int64_t>(node.weights.size()) / outputs});
  }

  void layer_tensors(const FloatNode& node, onnx::NodeProto& out, const std::vector<std::int64_t>& dims) {
    std::vector<float> weights(node.weights.size()), bias(node.bias.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<float>(node.gain * static_cast<double>(node.effective_weight(i)));
    }
    for (std::size_t i = 0; i < bias.size(); ++i) {
      bias[i] = static_cast<float>(node.gain * static_cast<double>(node.bias[i]));
    }
    add_tensor(out, node.name + ".weight", dims, weights);
    add_tensor(out, node.name + ".bias", {dims.front()}, bias);
  }

  void batch_norm(const FloatNode& node, onnx::NodeProto& out) {
    out.set_op_type("BatchNormalization");
    onnx::AttributeProto& epsilon = *out.add_attribute();
    epsilon.set_name("epsilon");
    epsilon.set_type(onnx::AttributeProto::FLOAT);
    epsilon.set_f(node.epsilon);
    const auto channels = static_cast<std::int64_t>(node.gamma.size());
    add_tensor(out, node.name + ".gamma", {channels}, node.gamma);
    add_tensor(out, node.name + ".beta", {channels}, node.beta);
    add_tensor(out, node.name + ".mean", {channels}, node.mean);
    add_tensor(out, node.name + ".variance", {channels}, node.variance);
  }

  /// Two nodes: Mul and Add.
  void affine(const FloatNode& node, onnx::NodeProto& multiply) {
    std::vector<std::int64_t> dims{static_cast<std::int64_t>(node.gamma.size())};
    if (!flat(node)) dims.insert(dims.end(), {1, 1});
    multiply.set_op_type("Mul");
    multiply.set_name(node.name + ".scale");
    multiply.set_output(0, node.name + ".scaled");
    add_tensor(multiply, node.name + ".gamma", dims, node.gamma);
    onnx::NodeProto& sum = *out_.add_node();
    sum.set_op_type("Add");
    sum.set_name(node.name);
    sum.add_output(node.name);
    sum.add_input(node.name + ".scaled");
    add_tensor(sum, node.name + ".beta", dims, node.beta);
  }

  void add_tensor(onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& dims,
                  const std::vector<float>& values) {
    add_initializer(out_, name, dims, values);
    node.add_input(name);
  }

  const FloatGraph& graph_;
  onnx::GraphProto& out_;
};

void add_description(const FloatGraph& graph, onnx::ModelProto& model) {
  add_metadata(model, kMetaName, graph.name);
  add_metadata(model, kMetaDescription, graph.description);
  add_metadata(model, kMetaEncoding, models::encoding_to_json(graph.encoding));
  add_metadata(model, kMetaMean, comma_separated(graph.mean));
  add_metadata(model, kMetaDeviation, comma_separated(graph.deviation));
  if (!graph.dataset.empty()) add_metadata(model, kMetaDataset, graph.dataset);
  if (!graph.labels.empty()) add_metadata(model, kMetaLabels, nlohmann::json(graph.labels).dump());
  add_metadata(model, kMetaSoftmax, graph.softmax ? "true" : "false");
}

}  // namespace

Bytes serialise_onnx(const FloatGraph& graph) {
  onnx::ModelProto model = start_model();
  GraphWriter(graph, *model.mutable_graph()).write();
  add_description(graph, model);
  return serialise_model(model);
}

void write_onnx(const FloatGraph& graph, const std::filesystem::path& path) {
  write_file(path, serialise_onnx(graph));
}

}  // namespace popcorn::compress
