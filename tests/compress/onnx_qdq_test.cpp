// Quantised (QDQ) ONNX files, made from float ones: what their weights and activations become, and which
// inconsistent ones are refused.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/onnx/onnx_export.h"
#include "compress/onnx/onnx_import.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

using Type = onnx::TensorProto;

onnx::ModelProto to_model(const FloatGraph& graph) {
  const Bytes file = serialise_onnx(graph);
  onnx::ModelProto model;
  REQUIRE(model.ParseFromArray(file.data(), static_cast<int>(file.size())));
  return model;
}

FloatGraph import(const onnx::ModelProto& model, const ImportOptions& options = {}) {
  const std::string bytes = model.SerializeAsString();
  return parse_onnx(as_bytes(bytes), "qdq.onnx", options);
}

std::string import_error(const onnx::ModelProto& model) {
  try {
    import(model);
  } catch (const InputError& error) {
    CHECK(error.code() == "onnx.unsupported");
    return error.what();
  }
  return "";
}

void add_attribute(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
}

onnx::TensorProto& add_tensor(onnx::ModelProto& model, const std::string& name,
                              const std::vector<std::int64_t>& dims, int type) {
  onnx::TensorProto& t = *model.mutable_graph()->add_initializer();
  t.set_name(name);
  t.set_data_type(type);
  for (const std::int64_t d : dims) t.add_dims(d);
  return t;
}

std::vector<float> floats_of(const onnx::TensorProto& tensor) {
  const auto* data = reinterpret_cast<const float*>(tensor.raw_data().data());
  return {data, data + tensor.raw_data().size() / sizeof(float)};
}

/// Puts nodes before the node at `index`.
void insert_before(onnx::GraphProto& graph, int index, std::vector<onnx::NodeProto> nodes) {
  google::protobuf::RepeatedPtrField<onnx::NodeProto> result;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (i == index) {
      for (const onnx::NodeProto& node : nodes) *result.Add() = node;
    }
    *result.Add() = graph.node(i);
  }
  graph.mutable_node()->Swap(&result);
}

onnx::NodeProto node(const std::string& op, const std::vector<std::string>& inputs,
                     const std::string& output) {
  onnx::NodeProto result;
  result.set_op_type(op);
  result.set_name(output);
  for (const std::string& input : inputs) result.add_input(input);
  result.add_output(output);
  return result;
}

struct WeightForm {
  int type = Type::INT8;
  bool per_channel = true;
  bool zero_point = true;
  bool in_graph = false;  ///< float weights that a QuantizeLinear of the graph quantises
};

/// Replaces the weights of layer `name` by integers with a DequantizeLinear; returns what they stand for.
std::vector<float> quantise_weights(onnx::ModelProto& model, const std::string& name, const WeightForm& form,
                                    test::SeededRng& rng) {
  onnx::GraphProto& graph = *model.mutable_graph();
  int layer = 0;
  while (graph.node(layer).name() != name) ++layer;
  const std::string weight = name + ".weight";
  onnx::TensorProto* tensor = nullptr;
  for (onnx::TensorProto& t : *graph.mutable_initializer()) {
    if (t.name() == weight) tensor = &t;
  }
  REQUIRE(tensor != nullptr);
  const std::vector<float> values = floats_of(*tensor);
  const std::vector<std::int64_t> dims(tensor->dims().begin(), tensor->dims().end());
  const std::size_t channels = form.per_channel ? static_cast<std::size_t>(dims[0]) : 1;
  const std::size_t row = values.size() / channels;
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
  for (std::size_t c = 0; c < channels; ++c) {
    scales.push_back(test::uniform(rng, 0.001F, 0.02F));
    const std::int64_t middle = form.type == Type::UINT8 ? 128 : 0;
    zero_points.push_back(form.zero_point ? static_cast<std::int32_t>(middle + rng.between(-20, 20)) : 0);
  }
  const float low = form.type == Type::UINT8 ? 0 : -128, high = form.type == Type::UINT8 ? 255 : 127;
  std::vector<float> result(values.size());
  std::vector<std::int32_t> integers(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = form.per_channel ? i / row : 0;
    const float q = std::nearbyint(values[i] / scales[c]) + static_cast<float>(zero_points[c]);
    integers[i] = static_cast<std::int32_t>(std::clamp(q, low, high));
    result[i] = static_cast<float>(integers[i] - zero_points[c]) * scales[c];
  }
  std::vector<std::int64_t> scale_dims;
  if (form.per_channel) scale_dims.push_back(dims[0]);
  std::vector<std::string> parameters = {weight + ".scale"};
  if (form.zero_point || form.type != Type::UINT8 || !form.in_graph) parameters.push_back(weight + ".zero");
  std::vector<onnx::NodeProto> nodes;
  if (form.in_graph) {
    nodes.push_back(node("QuantizeLinear", {weight}, weight + ".q"));
  } else {
    tensor->set_name(weight + ".q");
    tensor->set_data_type(form.type);
    tensor->clear_raw_data();
    for (const std::int32_t q : integers) tensor->add_int32_data(q);
    if (rng.below(2) == 0) {
      std::string raw;
      for (const std::int32_t q : integers) raw.push_back(static_cast<char>(q));
      tensor->clear_int32_data();
      tensor->set_raw_data(raw);
    }
  }
  nodes.push_back(node("DequantizeLinear", {weight + ".q"}, weight + ".dq"));
  for (onnx::NodeProto& n : nodes) {
    for (const std::string& parameter : parameters) n.add_input(parameter);
    if (form.per_channel) add_attribute(n, "axis", rng.below(2) == 0 ? 0 : -std::int64_t(dims.size()));
  }
  graph.mutable_node(layer)->set_input(1, weight + ".dq");
  insert_before(graph, layer, nodes);
  onnx::TensorProto& scale = add_tensor(model, weight + ".scale", scale_dims, Type::FLOAT);
  for (const float s : scales) scale.add_float_data(s);
  onnx::TensorProto& zero = add_tensor(model, weight + ".zero", scale_dims, form.type);
  for (const std::int32_t z : zero_points) zero.add_int32_data(z);
  return result;
}

/// A pair around the value that node `index` makes, which all its readers read from then on.
void quantise_activation(onnx::ModelProto& model, int index, float scale, std::int32_t zero_point, int type) {
  onnx::GraphProto& graph = *model.mutable_graph();
  const std::string value = graph.node(index).output(0);
  for (int i = index + 1; i < graph.node_size(); ++i) {
    for (std::string& input : *graph.mutable_node(i)->mutable_input()) {
      if (input == value) input = value + ".dq";
    }
  }
  add_tensor(model, value + ".s", {}, Type::FLOAT).add_float_data(scale);
  add_tensor(model, value + ".z", {}, type).add_int32_data(zero_point);
  insert_before(graph, index + 1,
                {node("QuantizeLinear", {value, value + ".s", value + ".z"}, value + ".q"),
                 node("DequantizeLinear", {value + ".q", value + ".s", value + ".z"}, value + ".dq")});
}

std::vector<float> outputs(const FloatGraph& graph, const std::vector<float>& input) {
  Executor executor(graph);
  return executor.run(std::span<const float>(input), 1);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// input[1, 2, 4, 4] → Relu → QuantizeLinear → DequantizeLinear → output, or with `weights` the pair on a
/// constant that is added; a test makes one thing wrong.
struct Pair {
  onnx::ModelProto model;
  onnx::NodeProto* quantize;
  onnx::NodeProto* dequantize;
  onnx::TensorProto* scale;
  onnx::TensorProto* zero;

  Pair() {
    model.add_opset_import()->set_version(13);
    onnx::GraphProto& graph = *model.mutable_graph();
    onnx::ValueInfoProto& input = *graph.add_input();
    input.set_name("x");
    for (const std::int64_t d : {1, 2, 4, 4})
      input.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(d);
    graph.add_output()->set_name("y");
    *graph.add_node() = node("Relu", {"x"}, "r");
    quantize = graph.add_node();
    *quantize = node("QuantizeLinear", {"r", "s", "z"}, "q");
    dequantize = graph.add_node();
    *dequantize = node("DequantizeLinear", {"q", "s", "z"}, "y");
    scale = &add_tensor(model, "s", {}, Type::FLOAT);
    scale->add_float_data(0.5F);
    zero = &add_tensor(model, "z", {}, Type::UINT8);
    zero->add_int32_data(0);
  }
};

}  // namespace

TEST_CASE("quantised weights become the numbers that their integers stand for") {
  test::SeededRng rng(81);
  for (int round = 0; round < 60; ++round) {
    FloatGraph graph = test::random_graph(rng, {false, true, true, true, false});
    onnx::ModelProto model = to_model(graph);
    for (FloatNode& layer : graph.nodes) {
      if (!layer.has_weights() || rng.below(4) == 0) continue;
      WeightForm form;
      form.type = rng.below(2) == 0 ? Type::INT8 : Type::UINT8;
      form.per_channel = rng.below(2) == 0;
      form.zero_point = rng.below(2) == 0;
      form.in_graph = rng.below(2) == 0;
      layer.weights = quantise_weights(model, layer.name, form, rng);
    }
    const std::vector<float> input =
        test::random_floats(rng, static_cast<std::size_t>(graph.input().shape.size()));
    CHECK(outputs(import(model), input) == outputs(import(to_model(graph)), input));
  }
}

TEST_CASE("a pair around an activation vanishes, and cuts negatives where its range does") {
  test::SeededRng rng(82);
  int cut = 0, vanished = 0;
  for (int round = 0; round < 60; ++round) {
    const FloatGraph graph = test::random_graph(rng, {false, false, true, true, false});
    onnx::ModelProto model = to_model(graph);
    onnx::GraphProto& source = *model.mutable_graph();
    for (int i = source.node_size() - 2; i >= 0; --i) {  // the output's own node stays last
      const bool relu = source.node(i).op_type() == "Relu";
      if (relu && rng.below(2) == 0) {
        // As quantisers write it: the saturation at zero stands for the Relu.
        source.mutable_node(i)->set_op_type("Identity");
        const bool is_signed = rng.below(2) == 0;
        quantise_activation(model, i, 0.02F, is_signed ? -128 : 0, is_signed ? Type::INT8 : Type::UINT8);
        ++cut;
      } else if (rng.below(2) == 0) {
        quantise_activation(model, i, 0.02F, 117, Type::UINT8);
        ++vanished;
      }
    }
    const FloatGraph read = import(model);
    const std::vector<float> input =
        test::random_floats(rng, static_cast<std::size_t>(graph.input().shape.size()));
    CHECK(outputs(read, input) == outputs(import(to_model(graph)), input));
    CHECK(read.nodes.size() == import(to_model(graph)).nodes.size());
  }
  CHECK(cut > 30);
  CHECK(vanished > 30);
}

TEST_CASE("a pair after values that are not negative costs nothing; its upper limit is kept on request") {
  Pair pair;
  CHECK(import(pair.model).nodes.size() == 2);
  ImportOptions options;
  options.keep_saturation = true;
  const FloatGraph kept = import(pair.model, options);
  REQUIRE(kept.nodes.size() == 3);
  CHECK(kept.output().kind == FloatKind::clip);
  CHECK(kept.output().upper == 127.5F);
}

TEST_CASE("inconsistent quantisation is refused by the name of the node") {
  Pair pair;
  CHECK(import_error(pair.model).empty());
  SECTION("another scale at the end of the pair") {
    add_tensor(pair.model, "s2", {}, Type::FLOAT).add_float_data(0.25F);
    pair.dequantize->set_input(1, "s2");
    CHECK(contains(import_error(pair.model), "y (DequantizeLinear): its scale, zero point or axis differ"));
  }
  SECTION("another zero point at the end of the pair") {
    add_tensor(pair.model, "z2", {}, Type::UINT8).add_int32_data(3);
    pair.dequantize->set_input(2, "z2");
    CHECK(contains(import_error(pair.model), "y (DequantizeLinear): its scale, zero point or axis differ"));
  }
  SECTION("a zero point of another type") {
    add_tensor(pair.model, "z2", {}, Type::INT8).add_int32_data(0);
    pair.dequantize->set_input(2, "z2");
    CHECK(contains(import_error(pair.model), "y (DequantizeLinear): its zero point has another type"));
  }
  SECTION("a zero point outside its type") {
    pair.zero->set_int32_data(0, 256);
    CHECK(contains(import_error(pair.model), "initializer \"z\": its tensor holds 256, out of range"));
  }
  SECTION("scales that are no scales") {
    for (const float bad : {0.0F, -1.0F, NAN, INFINITY}) {
      pair.scale->set_float_data(0, bad);
      CHECK(contains(import_error(pair.model), "q (QuantizeLinear): a scale is not a positive number"));
    }
  }
  SECTION("scales that do not fit their axis") {
    pair.scale->add_dims(2);
    pair.scale->add_float_data(0.5F);
    CHECK(contains(import_error(pair.model), "q (QuantizeLinear): has 1 zero points for 2 scales"));
    pair.zero->add_dims(2);
    pair.zero->add_int32_data(0);
    CHECK(import_error(pair.model).empty());  // the default axis 1 has two channels
    add_attribute(*pair.quantize, "axis", 2);
    CHECK(contains(import_error(pair.model), "q (QuantizeLinear): has 2 scales for axis 2 of size 4"));
    pair.quantize->mutable_attribute(0)->set_i(-5);
    CHECK(contains(import_error(pair.model), "its axis -5 is out of range"));
    pair.quantize->mutable_attribute(0)->set_i(-3);
    CHECK(import_error(pair.model).empty());
    pair.quantize->mutable_attribute(0)->set_i(4);
    CHECK(contains(import_error(pair.model), "its axis 4 is out of range"));
  }
  SECTION("scales per block") {
    add_attribute(*pair.quantize, "block_size", 2);
    CHECK(contains(import_error(pair.model), "block"));
  }
  SECTION("quantised values that another operator reads") {
    *pair.dequantize = node("Relu", {"q"}, "y");
    CHECK(contains(import_error(pair.model), "y (Relu): reads quantised values"));
  }
  SECTION("a quantised output") {
    pair.model.mutable_graph()->mutable_output(0)->set_name("q");
    CHECK(contains(import_error(pair.model), "output \"q\": it is quantised"));
  }
  SECTION("a DequantizeLinear alone") {
    pair.dequantize->set_input(0, "r");
    CHECK(contains(import_error(pair.model), "y (DequantizeLinear): reads an activation that no"));
  }
  SECTION("a type of four bits and one of floating point") {
    for (const int type : {22, 17, int{Type::FLOAT}}) {
      Pair other;
      add_attribute(*other.quantize, "output_dtype", type);
      other.quantize->mutable_input()->RemoveLast();
      CHECK(contains(import_error(other.model), "quantises to data type " + std::to_string(type)));
    }
  }
  SECTION("all of them at once") {
    *pair.dequantize = node("Relu", {"q"}, "a");
    *pair.model.mutable_graph()->add_node() = node("QLinearConv", {"r"}, "b");
    *pair.model.mutable_graph()->add_node() = node("Add", {"a", "b"}, "y");
    const std::string error = import_error(pair.model);
    CHECK(contains(error, "2 parts"));
    CHECK(contains(error, "a (Relu)"));
    CHECK(contains(error, "b (QLinearConv)"));
  }
}

TEST_CASE("files of later operator sets are read when they hold known operators only") {
  for (const int opset : {7, 11, 13, 17, 18, 21, 23}) {
    Pair pair;
    pair.model.mutable_opset_import(0)->set_version(opset);
    CHECK(import_error(pair.model).empty());
  }
  SECTION("pads of a list of axes (18 and later)") {
    Pair pair;
    onnx::TensorProto& pads = add_tensor(pair.model, "pads", {4}, Type::INT64);
    for (const std::int64_t p : {1, 0, 2, 3}) pads.add_int64_data(p);
    onnx::TensorProto& axes = add_tensor(pair.model, "axes", {2}, Type::INT64);
    for (const std::int64_t a : {-1, 2}) axes.add_int64_data(a);
    *pair.dequantize = node("Pad", {"r", "pads", "", "axes"}, "p");
    add_tensor(pair.model, "w", {1, 2, 1, 1}, Type::FLOAT).add_float_data(1);
    pair.model.mutable_graph()->mutable_initializer(4)->add_float_data(2);
    *pair.model.mutable_graph()->add_node() = node("Conv", {"p", "w"}, "y");
    const FloatGraph graph = import(pair.model);
    const models::Window& w = graph.output().window;
    CHECK((w.pad_left == 1 && w.pad_right == 2 && w.pad_top == 0 && w.pad_bottom == 3));
    for (const std::int64_t a : {-5, 4}) {
      pair.model.mutable_graph()->mutable_initializer(3)->set_int64_data(0, a);
      CHECK(contains(import_error(pair.model), "p (Pad): an axis is out of range"));
    }
  }
  SECTION("a part of a shape (15 and later)") {
    for (const std::int64_t end : {1, -3}) {
      Pair pair;
      onnx::NodeProto part = node("Shape", {"r"}, "batch");
      add_attribute(part, "end", end);
      add_tensor(pair.model, "rest", {1}, Type::INT64).add_int64_data(-1);
      onnx::NodeProto join = node("Concat", {"batch", "rest"}, "target");
      add_attribute(join, "axis", 0);
      insert_before(*pair.model.mutable_graph(), 1, {part, join});
      pair.model.mutable_graph()->mutable_node(4)->CopyFrom(node("Reshape", {"r", "target"}, "y"));
      CHECK(import(pair.model).output().shape == models::Shape{32, 1, 1});
    }
  }
  SECTION("the lists of numbers of Constant, and booleans") {
    Pair pair;
    onnx::NodeProto constant = node("Constant", {}, "c");
    onnx::AttributeProto& a = *constant.add_attribute();
    a.set_name("value_floats");
    for (const float v : {1.0F}) a.add_floats(v);
    insert_before(*pair.model.mutable_graph(), 0, {constant});
    add_tensor(pair.model, "training", {}, Type::BOOL).add_int32_data(0);
    pair.model.mutable_graph()->mutable_node(2)->CopyFrom(node("Add", {"r", "c"}, "a"));
    pair.model.mutable_graph()->mutable_node(3)->CopyFrom(node("Dropout", {"a", "", "training"}, "y"));
    CHECK(import(pair.model).nodes.size() == 3);
  }
}
