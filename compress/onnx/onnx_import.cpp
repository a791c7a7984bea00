#include "compress/onnx/onnx_import.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "compress/onnx/onnx_builder.h"
#include "compress/onnx/onnx_external.h"
#include "compress/onnx/onnx_metadata.h"
#include "models/input/input_encoding.h"

namespace popcorn::compress {

namespace {

constexpr std::int64_t kOldestOpset = 7;

[[noreturn]] void fail(const char* code, const std::string& source, const std::string& problem) {
  throw InputError(code, source + ": " + problem);
}

onnx::ModelProto parse_model(ByteView file, const std::string& source) {
  if (file.size() > kMaxOnnxBytes) fail("onnx.too_large", source, "larger than 1 GiB");
  const google::protobuf::LogSilencer silence;  // our own message names the file
  onnx::ModelProto model;
  if (!model.ParseFromArray(file.data(), static_cast<int>(file.size())) || !model.has_graph()) {
    fail("onnx.damaged", source, "not an ONNX file, or damaged");
  }
  return model;
}

void check_opset(const onnx::ModelProto& model, const std::string& source) {
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < kOldestOpset) {
      fail("onnx.opset", source,
           "uses operator set " + std::to_string(opset.version()) + ", 7 or later is supported");
    }
    return;
  }
  fail("onnx.opset", source, "does not say which operator set it uses");
}

std::map<std::string, std::string> metadata(const onnx::ModelProto& model) {
  std::map<std::string, std::string> result;
  for (const onnx::StringStringEntryProto& entry : model.metadata_props())
    result[entry.key()] = entry.value();
  return result;
}

std::vector<double> numbers(const std::string& text) {
  std::vector<double> result;
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  for (std::string part; std::getline(in, part, ',');) {
    std::istringstream number(part);
    number.imbue(std::locale::classic());
    double value = 0;
    if (!(number >> value)) throw InputError("onnx.metadata", "\"" + part + "\" is not a number");
    result.push_back(value);
  }
  return result;
}

std::vector<std::string> strings(const std::string& text) {
  const Json json = parse_json(text, "the list of labels", "onnx.metadata");
  if (!json.is_array()) throw InputError("onnx.metadata", "the labels are not a JSON array");
  std::vector<std::string> result;
  for (const nlohmann::json& label : json) {
    if (!label.is_string()) throw InputError("onnx.metadata", "a label is not a string");
    result.push_back(label);
  }
  return result;
}

std::string stem(const std::string& source) {
  const std::string name = std::filesystem::path(source).stem().string();
  return name.empty() ? "network" : name;
}

/// One number for all channels is as good as one each.
std::vector<double> spread(std::vector<double> values, double otherwise, std::int64_t channels) {
  if (values.empty()) values = {otherwise};
  if (values.size() == 1) values.resize(static_cast<std::size_t>(channels), values.front());
  return values;
}

models::InputEncoding default_encoding(const models::Shape& shape) {
  models::InputEncoding encoding;
  encoding.shape = shape;
  encoding.color = shape.channels == 3 ? "rgb" : "gray";
  encoding.offset.assign(static_cast<std::size_t>(shape.channels), 0);
  return encoding;
}

/// Whether the network reads whole numbers: pixels as they are, which it scales itself.
bool takes_pixels(const onnx::GraphProto& graph) {
  std::set<std::string> initialisers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initialisers.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initialisers.count(input.name()) == 0) return !is_float_type(input.type().tensor_type().elem_type());
  }
  return false;
}

void describe(FloatGraph& graph, const std::map<std::string, std::string>& meta, const ImportOptions& options,
              const std::string& source, bool pixels) {
  const auto text = [&](const char* key, const std::string& otherwise) {
    const auto found = meta.find(key);
    return found == meta.end() ? otherwise : found->second;
  };
  const models::Shape& shape = graph.input().shape;
  graph.name = options.name.value_or(text(kMetaName, stem(source)));
  graph.description = text(kMetaDescription, "");
  graph.dataset = text(kMetaDataset, "");
  const std::string encoding = text(kMetaEncoding, "");
  graph.encoding = encoding.empty() ? default_encoding(shape) : models::encoding_from_json(encoding);
  if (!(graph.encoding.shape == shape))
    throw InputError("onnx.metadata", "the input encoding is not for an input of " + shape.to_string());
  if (options.color) graph.encoding.color = *options.color;
  if (options.resize_filter) graph.encoding.filter = *options.resize_filter;
  if (options.resize_shorter_side) {
    graph.encoding.resize = models::InputEncoding::Resize::shorter_side_then_center_crop;
    graph.encoding.resize_shorter_side = *options.resize_shorter_side;
    models::check_encoding(graph.encoding);
  }
  graph.mean = spread(options.mean.empty() ? numbers(text(kMetaMean, "")) : options.mean, 0, shape.channels);
  graph.deviation = spread(options.deviation.empty() ? numbers(text(kMetaDeviation, "")) : options.deviation,
                           pixels ? 1.0 / 255 : 1, shape.channels);
  const std::string labels = text(kMetaLabels, "");
  graph.labels = !options.labels.empty() || labels.empty() ? options.labels : strings(labels);
  if (text(kMetaSoftmax, "") == "true") graph.softmax = true;
}

/// Layers whose weights all have one magnitude a are binary: grid {−1, 1} and gain a.
void recognise_binary_layers(FloatGraph& graph) {
  for (FloatNode& node : graph.nodes) {
    if (!node.has_weights() || node.weights.size() <= node.bias.size()) continue;
    const float magnitude = std::abs(node.weights.front());
    const bool binary = magnitude > 0 && std::all_of(node.weights.begin(), node.weights.end(),
                                                     [&](float w) { return std::abs(w) == magnitude; });
    if (!binary) continue;
    node.grid.codebook = {-1, 1};
    for (float& w : node.weights) w = w < 0 ? -1.0F : 1.0F;
    for (float& b : node.bias) b /= magnitude;
    node.gain = static_cast<double>(magnitude);
  }
}

[[noreturn]] void fail_unsupported(const OnnxBuilder& builder, const std::string& source) {
  const std::vector<std::string>& problems = builder.problems();
  std::string message = source + ": ";
  if (problems.size() == 1) {
    message += problems.front();
  } else {
    message += std::to_string(problems.size()) + " parts of the network cannot be taken over:";
    for (const std::string& problem : problems) message += "\n  " + problem;
  }
  if (builder.has_unknown_operator()) {
    message += "\nsupported operators:";
    for (const std::string& op : onnx_operators()) message += " " + op;
  }
  throw InputError("onnx.unsupported", message);
}

/// Shape that the metadata name, so that a file written for pictures keeps them.
std::optional<models::Shape> wanted_shape(const std::map<std::string, std::string>& meta,
                                          const ImportOptions& options) {
  if (options.input_shape) return options.input_shape;
  const auto encoding = meta.find(kMetaEncoding);
  if (encoding == meta.end()) return std::nullopt;
  return models::encoding_from_json(encoding->second).shape;
}

/// Dimensions of the graph input after the batch; −1 where open.
std::vector<std::int64_t> open_dims(const onnx::GraphProto& graph) {
  std::set<std::string> initialisers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initialisers.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initialisers.count(input.name()) != 0) continue;
    std::vector<std::int64_t> dims;
    for (const auto& d : input.type().tensor_type().shape().dim())
      dims.push_back(d.has_dim_value() && d.dim_value() > 0 ? d.dim_value() : -1);
    if (!dims.empty()) dims.erase(dims.begin());
    return dims;
  }
  return {};
}

/// The data set's pictures, where the file does not say what it takes, or takes just as many numbers in a
/// row.
std::optional<models::Shape> shape_of_pictures(const onnx::GraphProto& graph, const ImportOptions& options) {
  if (!options.picture_shape) return std::nullopt;
  const std::vector<std::int64_t> dims = open_dims(graph);
  if (std::count(dims.begin(), dims.end(), -1) > 0) return options.picture_shape;
  std::int64_t size = 1;
  for (const std::int64_t d : dims) {
    if (d > models::Limits::kTensorSize / size) return std::nullopt;
    size *= d;
  }
  const bool flat = std::count_if(dims.begin(), dims.end(), [](std::int64_t d) { return d != 1; }) <= 1;
  const bool fits = (flat || dims.size() == 2) && size == options.picture_shape->size();
  return fits ? options.picture_shape : std::nullopt;
}

FloatGraph import_model(ByteView file, const std::string& source, const ImportOptions& options,
                        const ExternalBytes& external) {
  const onnx::ModelProto model = parse_model(file, source);
  check_opset(model, source);
  const std::map<std::string, std::string> meta = metadata(model);
  try {
    std::optional<models::Shape> wanted = wanted_shape(meta, options);
    if (!wanted) wanted = shape_of_pictures(model.graph(), options);
    OnnxBuilder builder(model.graph(), options.keep_saturation, external, options.output_node);
    builder.build(wanted);
    if (!builder.problems().empty()) fail_unsupported(builder, source);
    FloatGraph graph = builder.take();
    describe(graph, meta, options, source, takes_pixels(model.graph()));
    if (meta.count(kMetaInteger) == 0) recognise_binary_layers(graph);  // dividing biases is not exact
    graph.finish();
    return graph;
  } catch (const InputError& error) {
    if (error.code() == "onnx.unsupported") throw;
    fail(error.code().c_str(), source, error.what());
  }
}

}  // namespace

FloatGraph parse_onnx(ByteView file, const std::string& source, const ImportOptions& options) {
  return import_model(file, source, options, {});
}

FloatGraph read_onnx(const std::filesystem::path& path, const ImportOptions& options) {
  return import_model(read_file(path, kMaxOnnxBytes), path.string(), options, external_beside(path));
}

}  // namespace popcorn::compress
