#include "compress/onnx_builder.h"

#include <algorithm>

#include "base/error.h"
#include "compress/graph_surgery.h"

namespace popcorn::compress {

namespace {

/// Vectors have at most one dimension larger than one.
bool is_vector(const std::vector<std::int64_t>& dims) {
  return std::count_if(dims.begin(), dims.end(), [](std::int64_t d) { return d != 1; }) <= 1;
}

std::vector<std::int64_t> dims_of(const models::Shape& shape, bool vector) {
  if (vector) return {1, shape.channels};
  return {1, shape.channels, shape.height, shape.width};
}

std::vector<std::int64_t> input_dims(const onnx::ValueInfoProto& input) {
  if (!input.type().has_tensor_type() || !input.type().tensor_type().has_shape()) return {};
  std::vector<std::int64_t> dims;
  for (const auto& d : input.type().tensor_type().shape().dim())
    dims.push_back(d.has_dim_value() ? d.dim_value() : -1);
  return dims;
}

}  // namespace

const std::map<std::string, OnnxBuilder::Handler>& OnnxBuilder::handlers() {
  static const std::map<std::string, Handler> table = {
      {"Add", &OnnxBuilder::element_wise},
      {"AveragePool", &OnnxBuilder::average_pool},
      {"BatchNormalization", &OnnxBuilder::batch_normalisation},
      {"Clip", &OnnxBuilder::clip},
      {"Concat", &OnnxBuilder::concat},
      {"Conv", &OnnxBuilder::convolution},
      {"DequantizeLinear", &OnnxBuilder::dequantize_linear},
      {"Div", &OnnxBuilder::element_wise},
      {"Dropout", &OnnxBuilder::identity},
      {"Flatten", &OnnxBuilder::flatten},
      {"Gemm", &OnnxBuilder::gemm},
      {"GlobalAveragePool", &OnnxBuilder::global_average_pool},
      {"Identity", &OnnxBuilder::identity},
      {"LogSoftmax", &OnnxBuilder::softmax},
      {"MatMul", &OnnxBuilder::mat_mul},
      {"MaxPool", &OnnxBuilder::max_pool},
      {"Mul", &OnnxBuilder::element_wise},
      {"Pad", &OnnxBuilder::pad},
      {"QuantizeLinear", &OnnxBuilder::quantize_linear},
      {"ReduceMean", &OnnxBuilder::reduce_mean},
      {"Relu", &OnnxBuilder::relu},
      {"Reshape", &OnnxBuilder::reshape},
      {"Sign", &OnnxBuilder::sign},
      {"Slice", &OnnxBuilder::slice},
      {"Softmax", &OnnxBuilder::softmax},
      {"Squeeze", &OnnxBuilder::squeeze},
      {"Sub", &OnnxBuilder::element_wise},
      {"Transpose", &OnnxBuilder::transpose},
      {"Unsqueeze", &OnnxBuilder::unsqueeze},
  };
  return table;
}

const std::vector<std::string>& OnnxBuilder::operators() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result = {"Cast", "Constant", "Gather", "Shape"};  // of constants
    for (const auto& entry : handlers()) result.push_back(entry.first);
    std::sort(result.begin(), result.end());
    return result;
  }();
  return names;
}

void OnnxBuilder::build(const std::optional<models::Shape>& input_shape) {
  add_initialisers();
  add_input(input_shape);
  for (const onnx::NodeProto& node : source_.node()) add_node(node);
  check_output();
}

void OnnxBuilder::add_initialisers() {
  for (const onnx::TensorProto& tensor : source_.initializer()) {
    try {
      values_[tensor.name()].constant = read_constant(tensor);
    } catch (const NotSupported& problem) {
      problems_.push_back("initializer \"" + tensor.name() + "\": " + problem.reason);
      values_[tensor.name()].unknown = true;
    }
  }
  if (source_.sparse_initializer_size() > 0) problems_.push_back("sparse initializers are not supported");
}

void OnnxBuilder::add_input(const std::optional<models::Shape>& wanted) {
  const onnx::ValueInfoProto* input = nullptr;
  for (const onnx::ValueInfoProto& candidate : source_.input()) {
    if (values_.count(candidate.name()) != 0) continue;  // old files list initialisers as inputs
    if (input != nullptr) {
      problems_.push_back("input \"" + candidate.name() + "\": only one graph input is supported");
      return;
    }
    input = &candidate;
  }
  if (input == nullptr) {
    problems_.push_back("the graph has no input");
    return;
  }
  OnnxValue value;
  value.dims = input_dims(*input);
  if (value.dims.size() > 1 && value.dims.front() != 0) value.dims.front() = 1;  // the batch
  FloatNode node;
  node.name = unique_name("input");
  const bool four = value.dims.size() == 4;
  const auto few = [](std::int64_t channels) { return channels == 1 || channels == 3; };
  const bool named = four && wanted && dims_of(*wanted, false) == value.dims;  // as N×C×H×W
  value.channels_last = four && !named && few(value.dims[3]) && !few(value.dims[1]);
  if (std::any_of(value.dims.begin(), value.dims.end(),
                  [](std::int64_t d) { return d < 1 || d > (1 << 20); })) {
    problems_.push_back("input \"" + input->name() +
                        "\": its dimensions must be known and positive (the batch may be open)");
    return;
  }
  if (four) {
    node.shape = value.channels_last ? models::Shape{value.dims[3], value.dims[1], value.dims[2]}
                                     : models::Shape{value.dims[1], value.dims[2], value.dims[3]};
  } else if (!value.dims.empty() && is_vector(value.dims)) {
    node.shape = {element_count(value.dims), 1, 1};
  } else {
    problems_.push_back("input \"" + input->name() + "\": must be N×C×H×W, N×H×W×C or a vector");
    return;
  }
  if (wanted) {
    if (wanted->size() != node.shape.size()) {
      problems_.push_back("input \"" + input->name() + "\": has shape " + node.shape.to_string() +
                          ", which is not the given " + wanted->to_string());
      return;
    }
    node.shape = *wanted;
  }
  graph_.nodes.push_back(node);
  non_negative_.push_back(true);
  values_[input->name()] = value;
}

void OnnxBuilder::add_node(const onnx::NodeProto& node) {
  OnnxValue result;
  try {
    if (node.output_size() == 0 || node.output(0).empty()) throw NotSupported{"it has no output"};
    bool unknown = graph_.nodes.empty();
    for (const std::string& name : node.input()) {
      if (name.empty()) continue;
      const auto found = values_.find(name);
      if (found == values_.end() && !graph_.nodes.empty()) {
        throw NotSupported{"reads \"" + name + "\", which nothing before it produces"};
      }
      unknown = unknown || found == values_.end() || found->second.unknown;
    }
    if (!node.domain().empty() && node.domain() != "ai.onnx")
      throw NotSupported{"foreign domain \"" + node.domain() + "\""};
    const auto handler = handlers().find(node.op_type());
    const std::vector<std::string>& known = operators();
    if (!std::binary_search(known.begin(), known.end(), node.op_type()))
      throw NotSupported{"unknown operator"};
    if (unknown) {
      result.unknown = true;  // the cause is reported already
    } else if (std::optional<OnnxConstant> constant = constant_result(node)) {
      result.constant = std::move(constant);
    } else if (handler != handlers().end()) {
      result = (this->*handler->second)(node);
    } else {
      throw NotSupported{"supported on constants only"};
    }
  } catch (const NotSupported& problem) {
    problems_.push_back(display_name(node) + " (" + node.op_type() + "): " + problem.reason);
    result = {};
    result.unknown = true;
  } catch (const InputError& error) {
    problems_.push_back(display_name(node) + " (" + node.op_type() + "): " + error.what());
    result = {};
    result.unknown = true;
  }
  if (node.output_size() > 0) values_[node.output(0)] = std::move(result);
}

std::optional<OnnxConstant> OnnxBuilder::constant_result(const onnx::NodeProto& node) const {
  std::vector<const OnnxConstant*> operands;
  if (node.op_type() == "Shape" && node.input_size() == 1 && !node.input(0).empty()) {
    const OnnxValue& x = values_.at(node.input(0));
    if (!x.constant) return shape_constant(node, x.dims);  // of a known activation
  }
  for (const std::string& name : node.input()) {
    if (name.empty()) {
      operands.push_back(nullptr);
      continue;
    }
    const OnnxValue& value = values_.at(name);
    if (!value.constant) return std::nullopt;
    operands.push_back(&*value.constant);
  }
  return evaluate_constant(node, operands);
}

void OnnxBuilder::check_output() {
  if (source_.output_size() != 1) {
    problems_.push_back("the graph has " + std::to_string(source_.output_size()) +
                        " outputs, one is supported");
    return;
  }
  const auto found = values_.find(source_.output(0).name());
  if (found == values_.end() || found->second.constant) {
    problems_.push_back("output \"" + source_.output(0).name() + "\": no node computes it from the input");
    return;
  }
  const OnnxValue& value = found->second;
  if (value.unknown) return;
  if (value.quantised)
    problems_.push_back("output \"" + source_.output(0).name() +
                        "\": it is quantised, a DequantizeLinear is missing");
  if (value.padded() || value.channels_last || value.flattened_from) {
    problems_.push_back("output \"" + source_.output(0).name() + "\": its layout is not supported");
  }
}

FloatGraph OnnxBuilder::take() {
  const OnnxValue& output = values_.at(source_.output(0).name());
  graph_.softmax = output.softmax;
  keep_ancestors(graph_, output.node);
  return std::move(graph_);
}

const OnnxValue* OnnxBuilder::operand(const onnx::NodeProto& node, int k) const {
  if (k >= node.input_size() || node.input(k).empty()) return nullptr;
  return &values_.at(node.input(k));
}

OnnxValue OnnxBuilder::activation(const onnx::NodeProto& node, int k, bool padding_allowed) const {
  const OnnxValue* value = operand(node, k);
  if (value == nullptr) throw NotSupported{"operand " + std::to_string(k) + " is missing"};
  if (value->constant) throw NotSupported{"operand " + std::to_string(k) + " is constant"};
  if (value->quantised) throw NotSupported{"reads quantised values, which only DequantizeLinear may"};
  if (value->softmax) throw NotSupported{"follows a Softmax, which is supported as the last node only"};
  if (value->padded() && !padding_allowed)
    throw NotSupported{"follows a Pad, which only a convolution or pool may"};
  return *value;
}

OnnxValue OnnxBuilder::picture(const onnx::NodeProto& node, int k, bool padding_allowed) const {
  OnnxValue value = activation(node, k, padding_allowed);
  if (value.dims.size() != 4)
    throw NotSupported{"its operand has " + std::to_string(value.dims.size()) +
                       " dimensions, 4 are expected"};
  if (value.channels_last || value.flattened_from) throw NotSupported{"its operand has its channels last"};
  return value;
}

const OnnxConstant& OnnxBuilder::constant(const onnx::NodeProto& node, int k) const {
  const OnnxConstant* value = optional_constant(node, k);
  if (value == nullptr) throw NotSupported{"operand " + std::to_string(k) + " is missing"};
  return *value;
}

const OnnxConstant* OnnxBuilder::optional_constant(const onnx::NodeProto& node, int k) const {
  const OnnxValue* value = operand(node, k);
  if (value == nullptr) return nullptr;
  if (!value->constant) throw NotSupported{"operand " + std::to_string(k) + " must be constant"};
  return &*value->constant;
}

std::vector<float> OnnxBuilder::per_channel(const OnnxConstant& constant, const OnnxValue& x) const {
  const auto channels = static_cast<std::size_t>(shape(x).channels);
  if (constant.size() == 1) return std::vector<float>(channels, constant.values.front());
  const std::size_t axis = x.channels_last ? x.dims.size() - 1 : std::min<std::size_t>(1, x.dims.size() - 1);
  const std::size_t rank = x.dims.size();
  const bool fits = constant.dims.size() <= rank && constant.size() == static_cast<std::int64_t>(channels) &&
                    rank - constant.dims.size() <= axis &&
                    constant.dims[axis - (rank - constant.dims.size())] == constant.size() &&
                    !x.flattened_from;
  if (!fits) throw NotSupported{"its constant operand is neither one number nor one per channel"};
  return constant.values;
}

FloatNode OnnxBuilder::start(FloatKind kind, const onnx::NodeProto& node, const OnnxValue& x) {
  FloatNode result;
  result.kind = kind;
  result.name = unique_name(display_name(node));
  result.inputs = {x.node};
  return result;
}

bool OnnxBuilder::keeps_non_negative(const FloatNode& node) const {
  switch (node.kind) {
    case FloatKind::relu:
    case FloatKind::clip:
      return true;
    case FloatKind::max_pool2d:
    case FloatKind::average_pool2d:
    case FloatKind::add:
    case FloatKind::concat:
    case FloatKind::flatten:
      return std::all_of(node.inputs.begin(), node.inputs.end(),
                         [&](std::size_t k) { return non_negative_[k]; });
    default:
      return false;
  }
}

OnnxValue OnnxBuilder::emit(FloatNode node, models::Shape shape) {
  if (graph_.nodes.size() >= models::Limits::kNodes) throw NotSupported{"the graph has too many nodes"};
  const bool vector = node.kind == FloatKind::dense || node.kind == FloatKind::flatten;
  node.shape = shape;
  non_negative_.push_back(keeps_non_negative(node));
  graph_.nodes.push_back(std::move(node));
  OnnxValue value;
  value.node = graph_.nodes.size() - 1;
  value.dims = dims_of(shape, vector);
  return value;
}

OnnxValue OnnxBuilder::emit_like(FloatNode node, const OnnxValue& x) {
  OnnxValue value = emit(std::move(node), shape(x));
  value.dims = x.dims;
  value.channels_last = x.channels_last;
  value.flattened_from = x.flattened_from;
  return value;
}

OnnxValue OnnxBuilder::relabel(const onnx::NodeProto& node, OnnxValue x, std::vector<std::int64_t> dims) {
  if (dims == x.dims) return x;
  const models::Shape from = shape(x);
  if (is_vector(dims)) {
    const bool reordered = x.channels_last && from.channels > 1 && from.height * from.width > 1;
    const std::optional<models::Shape> flattened = reordered ? std::optional(from) : x.flattened_from;
    if (from.size() != from.channels) x = emit(start(FloatKind::flatten, node, x), {from.size(), 1, 1});
    x.dims = std::move(dims);
    x.channels_last = false;
    x.flattened_from = flattened;
    return x;
  }
  if (dims == dims_of(from, false) && !x.channels_last && !x.flattened_from) {
    x.dims = std::move(dims);
    return x;
  }
  throw NotSupported{"reshapes to something other than a vector"};
}

std::string OnnxBuilder::unique_name(const std::string& wanted) {
  std::string name = wanted.empty() ? "node" : wanted;
  for (int k = 2; !names_.insert(name).second; ++k) name = wanted + "_" + std::to_string(k);
  return name;
}

std::string OnnxBuilder::display_name(const onnx::NodeProto& node) {
  if (!node.name().empty()) return node.name();
  return node.output_size() > 0 && !node.output(0).empty() ? node.output(0) : node.op_type();
}

}  // namespace popcorn::compress
