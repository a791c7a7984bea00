#include "compress/onnx_export.h"

#include <onnx/onnx_pb.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "compress/onnx_metadata.h"
#include "models/input_encoding.h"

namespace popcorn::compress {

namespace {

constexpr int kIrVersion = 7;
constexpr int kOpset = 13;

class GraphWriter {
 public:
  GraphWriter(const FloatGraph& graph, onnx::GraphProto& out) : graph_(graph), out_(out) {}

  void write() {
    out_.set_name(graph_.name);
    const models::Shape& shape = graph_.input().shape;
    describe(*out_.add_input(), graph_.input().name, {shape.channels, shape.height, shape.width});
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) write_node(graph_.nodes[i]);
    const FloatNode& last = graph_.output();
    if (flat(last)) {
      describe(*out_.add_output(), last.name, {last.shape.channels});
    } else {
      describe(*out_.add_output(), last.name, {last.shape.channels, last.shape.height, last.shape.width});
    }
  }

 private:
  /// Whether ONNX sees the value as batch × size: everything after a flatten or dense layer.
  bool flat(const FloatNode& node) const {
    if (node.kind == FloatKind::dense || node.kind == FloatKind::flatten) return true;
    return node.kind != FloatKind::input && node.kind != FloatKind::conv2d &&
           flat(graph_.nodes[node.inputs.front()]);
  }

  static void describe(onnx::ValueInfoProto& value, const std::string& name,
                       const std::vector<std::int64_t>& dims) {
    value.set_name(name);
    onnx::TypeProto_Tensor& type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape()->add_dim()->set_dim_param("batch");
    for (const std::int64_t d : dims) type.mutable_shape()->add_dim()->set_dim_value(d);
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
        out.set_op_type("Clip");
        add_tensor(out, node.name + ".min", {}, {0});
        add_tensor(out, node.name + ".max", {}, {node.upper});
        break;
      case FloatKind::max_pool2d:
        out.set_op_type("MaxPool");
        window(node, out, true);
        break;
      case FloatKind::average_pool2d:
        out.set_op_type("AveragePool");
        window(node, out, false);
        attribute(out, "count_include_pad", 1);
        break;
      case FloatKind::add:
        out.set_op_type("Add");
        break;
      case FloatKind::concat:
        out.set_op_type("Concat");
        attribute(out, "axis", 1);
        break;
      case FloatKind::flatten:
        out.set_op_type("Flatten");
        attribute(out, "axis", 1);
        break;
      case FloatKind::input:
        break;
    }
  }

  void convolution(const FloatNode& node, onnx::NodeProto& out) {
    out.set_op_type("Conv");
    window(node, out, true);
    attribute(out, "group", node.groups);
    const auto outputs = static_cast<std::int64_t>(node.bias.size());
    const std::int64_t kernel = node.window.kernel_height * node.window.kernel_width;
    const std::int64_t inputs = static_cast<std::int64_t>(node.weights.size()) / outputs / kernel;
    layer_tensors(node, out, {outputs, inputs, node.window.kernel_height, node.window.kernel_width});
  }

  void dense(const FloatNode& node, onnx::NodeProto& out) {
    out.set_op_type("Gemm");
    attribute(out, "transB", 1);
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

  static void attribute(onnx::NodeProto& node, const char* name, std::int64_t value) {
    onnx::AttributeProto& a = *node.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(value);
  }

  static void attribute(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values) {
    onnx::AttributeProto& a = *node.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t v : values) a.add_ints(v);
  }

  static void window(const FloatNode& node, onnx::NodeProto& out, bool dilations) {
    const models::Window& w = node.window;
    attribute(out, "kernel_shape", {w.kernel_height, w.kernel_width});
    attribute(out, "strides", {w.stride_height, w.stride_width});
    attribute(out, "pads", {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right});
    if (dilations) attribute(out, "dilations", {w.dilation_height, w.dilation_width});
  }

  void add_tensor(onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& dims,
                  const std::vector<float>& values) {
    onnx::TensorProto& tensor = *out_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t d : dims) tensor.add_dims(d);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    node.add_input(name);
  }

  const FloatGraph& graph_;
  onnx::GraphProto& out_;
};

std::string comma_separated(const std::vector<double>& values) {
  std::string result;
  for (const double v : values) {
    if (!result.empty()) result += ',';
    result += nlohmann::json(v).dump();  // shortest form that reads back exactly, in any locale
  }
  return result;
}

void add_metadata(const FloatGraph& graph, onnx::ModelProto& model) {
  const auto add = [&](const char* key, const std::string& value) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  add(kMetaName, graph.name);
  add(kMetaDescription, graph.description);
  add(kMetaEncoding, models::encoding_to_json(graph.encoding));
  add(kMetaMean, comma_separated(graph.mean));
  add(kMetaDeviation, comma_separated(graph.deviation));
  if (!graph.dataset.empty()) add(kMetaDataset, graph.dataset);
  if (!graph.labels.empty()) add(kMetaLabels, nlohmann::json(graph.labels).dump());
  add(kMetaSoftmax, graph.softmax ? "true" : "false");
}

}  // namespace

Bytes serialise_onnx(const FloatGraph& graph) {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("popcorn");
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);
  GraphWriter(graph, *model.mutable_graph()).write();
  add_metadata(graph, model);
  Bytes bytes(model.ByteSizeLong());
  if (bytes.size() > 0x7fffffff || !model.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error("onnx.write", "the network is too large for an ONNX file");
  }
  return bytes;
}

void write_onnx(const FloatGraph& graph, const std::filesystem::path& path) {
  write_file(path, serialise_onnx(graph));
}

}  // namespace popcorn::compress
