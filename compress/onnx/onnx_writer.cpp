#include "compress/onnx/onnx_writer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace popcorn::compress {

namespace {

constexpr int kIrVersion = 7;
constexpr std::size_t kMostBytes = 0x7fffffff;

template <typename T>
void add_raw(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
             const std::vector<T>& values, int type) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t d : dims) tensor.add_dims(d);
  tensor.set_raw_data(values.data(), values.size() * sizeof(T));
}

}  // namespace

onnx::ModelProto start_model() {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("popcorn");
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kWrittenOpset);
  return model;
}

Bytes serialise_model(const onnx::ModelProto& model) {
  Bytes bytes(model.ByteSizeLong());
  if (bytes.size() > kMostBytes || !model.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw Error("onnx.write", "the network is too large for an ONNX file");
  }
  return bytes;
}

void add_metadata(onnx::ModelProto& model, const char* key, const std::string& value) {
  onnx::StringStringEntryProto& entry = *model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

std::string comma_separated(const std::vector<double>& values) {
  std::string result;
  for (const double v : values) {
    if (!result.empty()) result += ',';
    result += nlohmann::json(v).dump();
  }
  return result;
}

void describe_tensor(onnx::ValueInfoProto& value, const std::string& name,
                     const std::vector<std::int64_t>& dims, int type) {
  value.set_name(name);
  onnx::TypeProto_Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const std::int64_t d : dims) tensor.mutable_shape()->add_dim()->set_dim_value(d);
}

void add_attribute(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
}

void add_attribute(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t v : values) a.add_ints(v);
}

void add_window(onnx::NodeProto& node, const models::Window& w, bool dilations) {
  add_attribute(node, "kernel_shape", {w.kernel_height, w.kernel_width});
  add_attribute(node, "strides", {w.stride_height, w.stride_width});
  add_attribute(node, "pads", {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right});
  if (dilations) add_attribute(node, "dilations", {w.dilation_height, w.dilation_width});
}

void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<float>& values) {
  add_raw(graph, name, dims, values, onnx::TensorProto::FLOAT);
}

void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<double>& values) {
  add_raw(graph, name, dims, values, onnx::TensorProto::DOUBLE);
}

void add_initializer(onnx::GraphProto& graph, const std::string& name, const std::vector<std::int64_t>& dims,
                     const std::vector<std::int64_t>& values) {
  add_raw(graph, name, dims, values, onnx::TensorProto::INT64);
}

}  // namespace popcorn::compress
