#include "compress/onnx/onnx_builder.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "compress/pruning/graph_surgery.h"

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
    dims.push_back(d.has_dim_value() && d.dim_value() > 0 ? d.dim_value() : -1);
  return dims;
}

bool has_open(const std::vector<std::int64_t>& dims) {
  return std::any_of(dims.begin(), dims.end(), [](std::int64_t d) { return d < 0; });
}

/// Puts the known sizes into the open places, when every known place agrees.
bool fill(std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& known) {
  if (dims.size() != known.size()) return false;
  for (std::size_t k = 0; k < dims.size(); ++k) {
    if (dims[k] >= 0 && dims[k] != known[k]) return false;
  }
  dims = known;
  return true;
}

std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text;
  for (const std::int64_t d : dims)
    text += (text.empty() ? "" : "x") + (d < 0 ? std::string("?") : std::to_string(d));
  return text;
}

const char* end_name(OnnxValue::End end) {
  switch (end) {
    case OnnxValue::End::softmax:
      return "a Softmax";
    case OnnxValue::End::arg_max:
      return "an ArgMax";
    default:
      return "a Sigmoid";
  }
}

/// Of the domain ai.onnx.ml: what scikit-learn's exporter puts around networks and linear models.
bool is_scikit_operator(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"LinearClassifier", "Normalizer", "Scaler", "ZipMap"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

const std::map<std::string, OnnxBuilder::Handler>& OnnxBuilder::handlers() {
  static const std::map<std::string, Handler> table = {
      {"Add", &OnnxBuilder::element_wise},
      {"ArgMax", &OnnxBuilder::arg_max},
      {"AveragePool", &OnnxBuilder::average_pool},
      {"BatchNormalization", &OnnxBuilder::batch_normalisation},
      {"Cast", &OnnxBuilder::cast},
      {"Clip", &OnnxBuilder::clip},
      {"Concat", &OnnxBuilder::concat},
      {"Conv", &OnnxBuilder::convolution},
      {"DequantizeLinear", &OnnxBuilder::dequantize_linear},
      {"Div", &OnnxBuilder::element_wise},
      {"Dropout", &OnnxBuilder::identity},
      {"DynamicQuantizeLinear", &OnnxBuilder::dynamic_quantize},
      {"Flatten", &OnnxBuilder::flatten},
      {"Gather", &OnnxBuilder::gather},
      {"Gemm", &OnnxBuilder::gemm},
      {"GlobalAveragePool", &OnnxBuilder::global_average_pool},
      {"GlobalMaxPool", &OnnxBuilder::global_max_pool},
      {"Identity", &OnnxBuilder::identity},
      {"LinearClassifier", &OnnxBuilder::linear_classifier},
      {"LogSoftmax", &OnnxBuilder::softmax},
      {"Log", &OnnxBuilder::log},
      {"MatMul", &OnnxBuilder::mat_mul},
      {"Max", &OnnxBuilder::extreme},
      {"MaxPool", &OnnxBuilder::max_pool},
      {"Mean", &OnnxBuilder::sum},
      {"Min", &OnnxBuilder::extreme},
      {"Mul", &OnnxBuilder::element_wise},
      {"Neg", &OnnxBuilder::negative},
      {"Normalizer", &OnnxBuilder::normaliser},
      {"Pad", &OnnxBuilder::pad},
      {"QuantizeLinear", &OnnxBuilder::quantize_linear},
      {"ReduceMax", &OnnxBuilder::reduce_mean},
      {"ReduceMean", &OnnxBuilder::reduce_mean},
      {"ReduceSum", &OnnxBuilder::reduce_sum},
      {"Relu", &OnnxBuilder::relu},
      {"Reshape", &OnnxBuilder::reshape},
      {"Scaler", &OnnxBuilder::scaler},
      {"Sigmoid", &OnnxBuilder::sigmoid},
      {"Sign", &OnnxBuilder::sign},
      {"Slice", &OnnxBuilder::slice},
      {"Softmax", &OnnxBuilder::softmax},
      {"Squeeze", &OnnxBuilder::squeeze},
      {"Sub", &OnnxBuilder::element_wise},
      {"Sum", &OnnxBuilder::sum},
      {"Transpose", &OnnxBuilder::transpose},
      {"Unsqueeze", &OnnxBuilder::unsqueeze},
      {"ZipMap", &OnnxBuilder::zip_map},
  };
  return table;
}

const std::vector<std::string>& OnnxBuilder::operators() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result = {"Constant", "ReduceProd", "Shape"};  // of constants
    for (const auto& entry : handlers()) {
      if (entry.first != "DynamicQuantizeLinear") result.push_back(entry.first);  // known to be refused
    }
    std::sort(result.begin(), result.end());
    return result;
  }();
  return names;
}

void OnnxBuilder::build(const std::optional<models::Shape>& input_shape) {
  add_initialisers();
  add_input(input_shape);
  for (int k = 0; k < source_.node_size(); ++k) add_node(k);
  choose_output();
  if (problems_.empty()) check_output();
}

void OnnxBuilder::add_initialisers() {
  for (const onnx::TensorProto& tensor : source_.initializer()) {
    try {
      values_[tensor.name()].constant = read_constant(tensor, external_);
    } catch (const NotSupported& problem) {
      found_.push_back({-2, tensor.name(), "initializer \"" + tensor.name() + "\": " + problem.reason});
      values_[tensor.name()].unknown = true;
    }
  }
  if (source_.sparse_initializer_size() > 0) problems_.push_back("sparse initializers are not supported");
}

/// The input's dimensions with batch 1; open ones are filled with the wanted picture's.
std::vector<std::int64_t> OnnxBuilder::given_dims(const onnx::ValueInfoProto& input,
                                                  const models::Shape* wanted) {
  std::vector<std::int64_t> dims = input_dims(input);
  if (dims.size() > 1) dims.front() = 1;  // the batch
  if (wanted == nullptr || !has_open(dims)) return dims;
  const models::Shape& w = *wanted;
  const std::vector<std::vector<std::int64_t>> forms = {{1, w.channels, w.height, w.width},
                                                        {1, w.height, w.width, w.channels},
                                                        {1, w.size()},
                                                        {1, w.height, w.width}};
  for (const std::vector<std::int64_t>& form : forms) {
    if (form.size() == 3 && w.channels != 1) continue;
    if (fill(dims, form)) break;
  }
  return dims;
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
  const auto problem = [&](const std::string& text) {
    problems_.push_back("input \"" + input->name() + "\": " + text);
  };
  OnnxValue value;
  value.dims = given_dims(*input, wanted ? &*wanted : nullptr);
  if (value.dims.empty() || has_open(value.dims) ||
      std::any_of(value.dims.begin(), value.dims.end(), [](std::int64_t d) { return d > (1 << 20); })) {
    problem("its dimensions are " + (value.dims.empty() ? std::string("not given") : dims_text(value.dims)) +
            (wanted ? ", which the given shape " + wanted->to_string() + " does not fit"
                    : "; the batch may be open, name the others with --input-shape CxHxW"));
    return;
  }
  FloatNode node;
  node.name = unique_name("input");
  const auto few = [](std::int64_t channels) { return channels == 1 || channels == 3; };
  const std::vector<std::int64_t>& dims = value.dims;
  if (dims.size() == 4) {
    const bool first = wanted && dims_of(*wanted, false) == dims;  // as N×C×H×W
    const bool last =
        wanted && std::vector<std::int64_t>{1, wanted->height, wanted->width, wanted->channels} == dims;
    value.channels_last = !first && (last || (few(dims[3]) && !few(dims[1])));
    node.shape = value.channels_last ? models::Shape{dims[3], dims[1], dims[2]}
                                     : models::Shape{dims[1], dims[2], dims[3]};
  } else if (is_vector(dims)) {
    node.shape = {element_count(dims), 1, 1};
    input_is_vector_ = true;
  } else if (dims.size() == 3) {
    node.shape = {1, dims[1], dims[2]};
  } else {
    problem("has the dimensions " + dims_text(dims) + "; NxCxHxW, NxHxWxC, NxHxW or a vector is expected");
    return;
  }
  if (wanted) {
    if (wanted->size() != node.shape.size()) {
      problem("has shape " + node.shape.to_string() + ", which is not the given " + wanted->to_string());
      return;
    }
    node.shape = *wanted;
  }
  graph_.nodes.push_back(node);
  non_negative_.push_back(true);
  values_[input->name()] = value;
}

void OnnxBuilder::add_node(int index) {
  const onnx::NodeProto& node = source_.node(index);
  OnnxValue result;
  const std::string output = node.output_size() > 0 ? node.output(0) : std::string();
  const auto note = [&](const std::string& reason, bool unknown_operator = false) {
    found_.push_back({index, output, "node " + display_name(node) + " (" + node.op_type() + "): " + reason,
                      unknown_operator});
    result = {};
    result.unknown = true;
  };
  try {
    if (output.empty()) throw NotSupported{"it has no output"};
    bool unknown = graph_.nodes.empty();
    for (const std::string& name : node.input()) {
      if (name.empty()) continue;
      const auto found = values_.find(name);
      if (found == values_.end() && !graph_.nodes.empty()) {
        throw NotSupported{"reads \"" + name + "\", which nothing before it produces"};
      }
      unknown = unknown || found == values_.end() || found->second.unknown;
    }
    const bool own_domain = node.domain().empty() || node.domain() == "ai.onnx" ||
                            (node.domain() == "ai.onnx.ml" && is_scikit_operator(node.op_type()));
    if (!own_domain) {
      throw NotSupported{"it is of the domain \"" + node.domain() +
                         "\", whose operators are not taken over: export the network with the standard "
                         "operators of ONNX only"};
    }
    const auto handler = handlers().find(node.op_type());
    const std::vector<std::string>& known = operators();
    if (handler == handlers().end() && !std::binary_search(known.begin(), known.end(), node.op_type())) {
      note("unknown operator", true);
    } else if (unknown) {
      result.unknown = true;  // the cause is reported already
    } else if (std::optional<OnnxConstant> constant = constant_result(node)) {
      result.constant = std::move(constant);
    } else if (handler != handlers().end()) {
      result = (this->*handler->second)(node);
    } else {
      throw NotSupported{"supported on constants only"};
    }
  } catch (const NotSupported& problem) {
    note(problem.reason);
  } catch (const InputError& error) {
    note(error.what());
  }
  if (!output.empty()) values_[output] = std::move(result);
  for (int k = 1; k < node.output_size(); ++k) {
    if (!node.output(k).empty() && values_.count(node.output(k)) == 0) values_[node.output(k)].unknown = true;
  }
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
  return evaluate_constant(node, operands, external_);
}

std::vector<std::string> OnnxBuilder::problems_of(const std::string& output) const {
  // From the output upwards.
  std::set<std::string> needed = {output};
  std::set<int> nodes;
  for (int k = source_.node_size(); k-- > 0;) {
    const onnx::NodeProto& node = source_.node(k);
    const bool gives = std::any_of(node.output().begin(), node.output().end(), [&](const std::string& name) {
      return !name.empty() && needed.count(name) != 0;
    });
    if (!gives) continue;
    nodes.insert(k);
    needed.insert(node.input().begin(), node.input().end());
  }
  std::vector<std::string> result;
  for (const Problem& problem : found_) {
    if (problem.node >= 0 ? nodes.count(problem.node) != 0 : needed.count(problem.name) != 0)
      result.push_back(problem.text);
  }
  return result;
}

void OnnxBuilder::choose_output() {
  if (!problems_.empty()) return;  // the input is not there
  std::vector<std::string> names;
  for (const onnx::ValueInfoProto& output : source_.output()) names.push_back(output.name());
  if (!output_node_.empty()) {
    // A graph output or any value, or the node of that name.
    std::string value = output_node_;
    for (const onnx::NodeProto& node : source_.node()) {
      if (values_.count(value) == 0 && node.name() == output_node_ && node.output_size() > 0)
        value = node.output(0);
    }
    if (values_.count(value) == 0) {
      std::string known;
      for (const std::string& name : names) known += (known.empty() ? "\"" : ", \"") + name + "\"";
      problems_.push_back("no output, value or node is called \"" + output_node_ +
                          "\" (--output-node); the outputs are " + known);
      return;
    }
    names = {value};
  }
  if (names.empty()) {
    problems_.push_back("the graph has no output; name the value that it ends with by --output-node");
    return;
  }
  std::vector<std::string> usable;
  for (const std::string& name : names) {
    const auto found = values_.find(name);
    const bool computed = found != values_.end() && !found->second.constant && !found->second.unknown;
    if (computed && problems_of(name).empty()) usable.push_back(name);
  }
  // Probabilities and classes of the same logits: the logits; what was dropped behind them says whether
  // softmax applies.
  const auto same = [&](const std::string& name) {
    return values_.at(name).node == values_.at(usable.front()).node;
  };
  if (usable.size() > 1 && std::all_of(usable.begin(), usable.end(), same)) {
    std::stable_sort(usable.begin(), usable.end(), [&](const std::string& a, const std::string& b) {
      const auto rank = [&](const std::string& name) {
        const OnnxValue::End end = values_.at(name).end;
        return end == OnnxValue::End::arg_max ? 2 : end == OnnxValue::End::none ? 1 : 0;
      };
      return rank(a) < rank(b);
    });
    usable.resize(1);
  }
  // Values from within beside the probabilities of classes: the latter.
  std::vector<std::string> ends;
  for (const std::string& name : usable) {
    if (values_.at(name).end != OnnxValue::End::none) ends.push_back(name);
  }
  if (usable.size() > 1 && ends.size() == 1) usable = ends;
  if (usable.size() == 1) {
    output_ = usable.front();
    return;
  }
  if (usable.size() > 1) {
    std::string choices;
    for (const std::string& name : usable) choices += (choices.empty() ? "\"" : ", \"") + name + "\"";
    problems_.push_back("the graph has " + std::to_string(usable.size()) +
                        " outputs; choose one with --output-node: " + choices);
    return;
  }
  output_ = names.front();
  for (const std::string& name : names) {
    const std::vector<std::string> own = problems_of(name);
    if (own.empty()) continue;
    problems_ = own;
    output_ = name;
    for (const Problem& problem : found_)
      unknown_operator_ = unknown_operator_ || (problem.unknown_operator &&
                                                std::find(own.begin(), own.end(), problem.text) != own.end());
    return;
  }
  problems_.push_back("output \"" + output_ + "\": no node computes it from the input");
}

void OnnxBuilder::check_output() {
  const OnnxValue& value = values_.at(output_);
  const std::string who = "output \"" + output_ + "\": ";
  if (value.quantised) problems_.push_back(who + "it is quantised, a DequantizeLinear is missing");
  if (value.upper) problems_.push_back(who + "a limit from above without one of zero from below");
  if (value.padded() || value.channels_last || value.flattened_from || value.by_place) {
    problems_.push_back(who + "its layout is not supported");
  }
  if (problems_.empty() && value.node == 0) problems_.push_back(who + "no node computes it from the input");
}

/// One logit l is two classes: logits −l/2 and l/2, whose softmax is the sigmoid of l.
void OnnxBuilder::end_with_two_classes() {
  FloatNode head;
  head.kind = FloatKind::dense;
  head.name = unique_name("two_classes");
  head.inputs = {values_.at(output_).node};
  head.weights = {-0.5F, 0.5F};
  head.bias = {0, 0};
  OnnxValue value = emit(std::move(head), {2, 1, 1});
  value.end = OnnxValue::End::softmax;
  values_[output_] = std::move(value);
}

FloatGraph OnnxBuilder::take() {
  OnnxValue output = values_.at(output_);
  // Softmax anywhere behind these logits, also where another output was chosen, says what they mean.
  for (const auto& [name, value] : values_) {
    if (!value.unknown && !value.constant && value.node == output.node &&
        value.end == OnnxValue::End::softmax)
      output.end = OnnxValue::End::softmax;
  }
  values_[output_] = output;
  if (shape(output).size() == 1) end_with_two_classes();
  graph_.softmax = values_.at(output_).end == OnnxValue::End::softmax;
  keep_ancestors(graph_, values_.at(output_).node);
  return std::move(graph_);
}

const OnnxValue* OnnxBuilder::operand(const onnx::NodeProto& node, int k) const {
  if (k >= node.input_size() || node.input(k).empty()) return nullptr;
  return &values_.at(node.input(k));
}

OnnxValue OnnxBuilder::viewed(const onnx::NodeProto& node, int k) const {
  const OnnxValue* value = operand(node, k);
  if (value == nullptr) throw NotSupported{"operand " + std::to_string(k) + " is missing"};
  if (value->constant)
    throw NotSupported{"operand " + std::to_string(k) + " is a constant, the network's values are expected"};
  if (value->quantised) throw NotSupported{"reads quantised values, which only DequantizeLinear may"};
  return *value;
}

OnnxValue OnnxBuilder::flattened(const onnx::NodeProto& node, OnnxValue x) {
  const models::Shape from = shape(x);
  if (from.size() == from.channels) return x;
  const bool reordered = x.channels_last && from.channels > 1 && from.height * from.width > 1;
  OnnxValue vector = emit(start(FloatKind::flatten, node, x), {from.size(), 1, 1});
  vector.dims = x.dims;
  if (reordered) vector.flattened_from = from;
  return vector;
}

OnnxValue OnnxBuilder::activation(const onnx::NodeProto& node, int k, bool padding_allowed,
                                  bool by_place_allowed) {
  OnnxValue value = viewed(node, k);
  if (value.by_place && !by_place_allowed) {
    throw NotSupported{
        "follows a constant or divisor that differs from place to place within a channel, which has a form "
        "before a flatten or a mean over the whole picture only: use one value a channel, or an AveragePool "
        "without padding, and fine-tune"};
  }
  if (value.end != OnnxValue::End::none) {
    throw NotSupported{std::string("follows ") + end_name(value.end) +
                       ", which is supported at the end of the network only"};
  }
  if (value.padded() && !padding_allowed)
    throw NotSupported{"follows a Pad, which only a convolution or pool may"};
  if (value.upper) throw NotSupported{"follows a limit from above without one of zero from below"};
  const bool seen_as_vector = is_vector(value.dims) && value.dims != dims_of(shape(value), false) &&
                              !(value.dims.size() == 4 && value.channels_last);
  return seen_as_vector ? flattened(node, std::move(value)) : value;
}

OnnxValue OnnxBuilder::picture(const onnx::NodeProto& node, int k, bool padding_allowed) {
  OnnxValue value = activation(node, k, padding_allowed);
  if (value.dims.size() != 4)
    throw NotSupported{"its operand has " + std::to_string(value.dims.size()) +
                       " dimensions, 4 are expected (N, C, H, W)"};
  if (value.flattened_from) throw NotSupported{"its operand has its channels last"};
  if (value.channels_last && (shape(value).channels == 1 || shape(value).height * shape(value).width == 1)) {
    value.channels_last = false;
    const models::Shape& s = shape(value);
    if (value.dims != dims_of(s, false)) throw NotSupported{"its operand has its channels last"};
  }
  if (value.channels_last) throw NotSupported{"its operand has its channels last"};
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

std::optional<std::vector<float>> OnnxBuilder::per_channel(const OnnxConstant& constant,
                                                           const OnnxValue& x) const {
  const auto channels = static_cast<std::size_t>(shape(x).channels);
  if (constant.size() == 1) return std::vector<float>(channels, constant.values.front());
  const std::size_t rank = x.dims.size();
  if (constant.dims.size() > rank)
    throw NotSupported{"its constant operand has more dimensions than the other"};
  // The place of every element of x in the constant, by broadcasting.
  std::vector<std::size_t> strides(rank, 0);
  std::size_t stride = 1;
  for (std::size_t k = constant.dims.size(); k-- > 0;) {
    const std::size_t axis = rank - constant.dims.size() + k;
    if (constant.dims[k] != 1 && constant.dims[k] != x.dims[axis])
      throw NotSupported{"its constant operand of " + dims_text(constant.dims) + " does not fit " +
                         dims_text(x.dims)};
    strides[axis] = constant.dims[k] == 1 ? 0 : stride;
    stride *= static_cast<std::size_t>(constant.dims[k]);
  }
  const auto total = static_cast<std::size_t>(shape(x).size());
  const std::size_t plane = total / channels;
  std::vector<float> result(channels);
  std::vector<bool> set(channels, false);
  for (std::size_t flat = 0; flat < total; ++flat) {
    std::size_t at = 0;
    std::size_t rest = flat;
    for (std::size_t k = rank; k-- > 0;) {
      const auto size = static_cast<std::size_t>(x.dims[k]);
      at += rest % size * strides[k];
      rest /= size;
    }
    // The channel of the element in the float node, whose order is channel first.
    std::size_t channel = flat / plane;
    if (x.channels_last) {
      channel = flat % channels;
    } else if (x.flattened_from) {
      const auto depth = static_cast<std::size_t>(x.flattened_from->channels);
      channel = flat % depth * (total / depth) + flat / depth;
    }
    const float value = constant.values[at];
    if (set[channel] && result[channel] != value) return std::nullopt;
    result[channel] = value;
    set[channel] = true;
  }
  return result;
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
  value.by_place = x.by_place;
  return value;
}

OnnxValue OnnxBuilder::relabel(const onnx::NodeProto& node, OnnxValue x, std::vector<std::int64_t> dims) {
  if (dims == x.dims) return x;
  if (x.padded()) throw NotSupported{"follows a Pad, which only a convolution or pool may"};
  if (x.by_place && !is_vector(dims)) {
    throw NotSupported{"reshapes to " + dims_text(dims) +
                       " a picture with a constant or divisor that differs from place to place, which only a "
                       "flatten may follow"};
  }
  if (x.by_place) {
    x.by_place = false;
    x.dims = std::move(dims);
    return x;
  }
  if (dims == dims_of(shape(x), false) && !x.channels_last) {
    x.dims = std::move(dims);
    return x;
  }
  if (is_plane_view(dims, shape(x)) && !x.channels_last && shape(x).size() != shape(x).channels) {
    x.dims = std::move(dims);
    return x;
  }
  if (is_vector(dims)) {
    const std::optional<models::Shape> flattened_before = x.flattened_from;
    const bool whole_input = x.node == 0 && input_is_vector_;
    if (!whole_input) x = flattened(node, std::move(x));
    if (!x.flattened_from) x.flattened_from = flattened_before;
    x.dims = std::move(dims);
    if (!whole_input) x.channels_last = false;
    return x;
  }
  // Back to a picture: from before the flatten.
  const FloatNode& maker = graph_.nodes[x.node];
  const bool back = maker.kind == FloatKind::flatten && shape(x).size() == shape(x).channels;
  const models::Shape from = back ? graph_.nodes[maker.inputs.front()].shape : shape(x);
  bool last = x.channels_last || x.flattened_from.has_value();
  const std::vector<std::int64_t> first_dims = dims_of(from, false);
  const std::vector<std::int64_t> last_dims = {1, from.height, from.width, from.channels};
  const bool either = from.channels == 1 || from.height * from.width == 1;
  const bool undecided = x.node == 0 && input_is_vector_ && is_vector(x.dims);
  if (undecided && !either && (dims == first_dims || dims == last_dims)) {
    if (input_channels_last_ && *input_channels_last_ != (dims == last_dims && dims != first_dims))
      throw NotSupported{"reads the input with its channels last, another node with its channels first"};
    last = dims == last_dims && dims != first_dims;
    input_channels_last_ = last;
  }
  const bool fits_first = dims == first_dims && (either || !last);
  const bool fits_last = dims == last_dims && (either || last);
  if (fits_first || fits_last) {
    if (back) x.node = maker.inputs.front();
    x.channels_last = !fits_first;
    x.flattened_from.reset();
    x.dims = std::move(dims);
    return x;
  }
  if (!back && dims.size() == 3) {  // a view, for a reduction or the way back
    x.dims = std::move(dims);
    return x;
  }
  throw NotSupported{"reshapes " + dims_text(x.dims) + " to " + dims_text(dims) +
                     ", which is neither a vector nor the picture of " + from.to_string() +
                     (x.node == 0 ? "; name the picture's shape with --input-shape CxHxW" : "")};
}

bool OnnxBuilder::is_plane_view(const std::vector<std::int64_t>& dims, const models::Shape& from) {
  return dims == std::vector<std::int64_t>{1, from.channels, from.height * from.width};
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
