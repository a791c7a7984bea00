// The graphs that scikit-learn's exporter (skl2onnx) writes for perceptrons and linear models: scaler,
// layers, probabilities, classes, names beside probabilities.
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/onnx/onnx_import.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

constexpr std::int64_t kFeatures = 4;

std::vector<float> random_values(test::SeededRng& rng, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(rng.between(-100, 100)) / 64;
  return values;
}

/// y = W·x + b, W outputs × inputs.
std::vector<float> affine(const std::vector<float>& w, const std::vector<float>& b,
                          const std::vector<float>& x) {
  std::vector<float> y = b;
  for (std::size_t o = 0; o < y.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
  }
  return y;
}

std::vector<float> rectified(std::vector<float> x) {
  for (float& v : x) v = std::max(v, 0.0F);
  return x;
}

class ScikitGraph {
 public:
  ScikitGraph() {
    model_.set_ir_version(8);
    for (const auto& [domain, version] : {std::pair{"", 15}, std::pair{"ai.onnx.ml", 1}}) {
      onnx::OperatorSetIdProto* const opset = model_.add_opset_import();
      opset->set_domain(domain);
      opset->set_version(version);
    }
    onnx::ValueInfoProto* const input = graph().add_input();
    input->set_name("X");
    auto* const type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim();  // open, without a name, as skl2onnx writes it
    type->mutable_shape()->add_dim()->set_dim_value(kFeatures);
  }

  onnx::NodeProto& node(const char* op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs, const char* domain = "") {
    onnx::NodeProto& made = *graph().add_node();
    made.set_op_type(op);
    made.set_domain(domain);
    made.set_name(outputs.front() + "_node");
    for (const std::string& name : inputs) made.add_input(name);
    for (const std::string& name : outputs) made.add_output(name);
    return made;
  }
  void tensor(const std::string& name, const std::vector<std::int64_t>& dims,
              const std::vector<float>& values) {
    onnx::TensorProto& made = *graph().add_initializer();
    made.set_name(name);
    made.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t d : dims) made.add_dims(d);
    for (const float v : values) made.add_float_data(v);
  }
  void integers(const std::string& name, const std::vector<std::int64_t>& values) {
    onnx::TensorProto& made = *graph().add_initializer();
    made.set_name(name);
    made.set_data_type(onnx::TensorProto::INT64);
    made.add_dims(static_cast<std::int64_t>(values.size()));
    for (const std::int64_t v : values) made.add_int64_data(v);
  }
  void outputs(const std::vector<std::string>& names) {
    for (const std::string& name : names) graph().add_output()->set_name(name);
  }
  /// Class of the largest probability, by its label.
  void label(const std::string& probabilities, std::int64_t classes) {
    std::vector<std::int64_t> names(static_cast<std::size_t>(classes));
    std::iota(names.begin(), names.end(), std::int64_t{7});
    integers("classes", names);
    integers("shape", {-1});
    set(node("ArgMax", {probabilities}, {"largest"}), "axis", 1);
    node("ArrayFeatureExtractor", {"classes", "largest"}, {"extracted"}, "ai.onnx.ml");
    set(node("Cast", {"extracted"}, {"cast_label"}), "to", onnx::TensorProto::INT64);
    node("Reshape", {"cast_label", "shape"}, {"output_label"});
  }
  FloatGraph read() const {
    std::string bytes;
    model_.SerializeToString(&bytes);
    return parse_onnx(as_bytes(bytes), "scikit.onnx");
  }

  static void set(onnx::NodeProto& node, const char* name, std::int64_t value) {
    onnx::AttributeProto& a = *node.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(value);
  }
  static void set(onnx::NodeProto& node, const char* name, const std::string& value) {
    onnx::AttributeProto& a = *node.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::STRING);
    a.set_s(value);
  }
  static void set(onnx::NodeProto& node, const char* name, const std::vector<float>& values) {
    onnx::AttributeProto& a = *node.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::FLOATS);
    for (const float v : values) a.add_floats(v);
  }

 private:
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx::ModelProto model_;
};

void check_logits(const FloatGraph& graph,
                  const std::function<std::vector<float>(const std::vector<float>&)>& expected,
                  test::SeededRng& rng) {
  Executor executor(graph);
  for (int k = 0; k < 10; ++k) {
    const std::vector<float> x = random_values(rng, kFeatures);
    const std::vector<float> found = executor.run(std::span<const float>(x), 1), wanted = expected(x);
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - wanted[i]) < 1e-4F);
  }
}

}  // namespace

TEST_CASE("scikit-learn's perceptron of several classes comes in", "[onnx]") {
  test::SeededRng rng(51);
  const auto w0 = random_values(rng, 6 * kFeatures), b0 = random_values(rng, 6);
  const auto w1 = random_values(rng, 3 * 6), b1 = random_values(rng, 3);
  for (const bool names : {false, true}) {
    ScikitGraph graph;
    // MLPClassifier keeps its coefficients as inputs × outputs.
    std::vector<float> t0(w0.size()), t1(w1.size());
    for (std::size_t o = 0; o < 6; ++o)
      for (std::size_t i = 0; i < kFeatures; ++i) t0[i * 6 + o] = w0[o * kFeatures + i];
    for (std::size_t o = 0; o < 3; ++o)
      for (std::size_t i = 0; i < 6; ++i) t1[i * 3 + o] = w1[o * 6 + i];
    graph.tensor("coefficient", {kFeatures, 6}, t0);
    graph.tensor("intercepts", {1, 6}, b0);
    graph.tensor("coefficient1", {6, 3}, t1);
    graph.tensor("intercepts1", {1, 3}, b1);
    ScikitGraph::set(graph.node("Cast", {"X"}, {"cast_input"}), "to", onnx::TensorProto::FLOAT);
    graph.node("MatMul", {"cast_input", "coefficient"}, {"mul_result"});
    graph.node("Add", {"mul_result", "intercepts"}, {"add_result"});
    graph.node("Relu", {"add_result"}, {"next_activations"});
    graph.node("MatMul", {"next_activations", "coefficient1"}, {"mul_result1"});
    graph.node("Add", {"mul_result1", "intercepts1"}, {"add_result1"});
    ScikitGraph::set(graph.node("Softmax", {"add_result1"}, {"probabilities"}), "axis", 1);
    graph.label("probabilities", 3);
    if (names) graph.node("ZipMap", {"probabilities"}, {"output_probability"}, "ai.onnx.ml");
    graph.outputs({"output_label", names ? "output_probability" : "probabilities"});
    const FloatGraph read = graph.read();
    CHECK(read.softmax);
    check_logits(
        read, [&](const std::vector<float>& x) { return affine(w1, b1, rectified(affine(w0, b0, x))); }, rng);
  }
}

TEST_CASE("scikit-learn's perceptron of two classes comes in", "[onnx]") {
  test::SeededRng rng(52);
  const auto w = random_values(rng, kFeatures), b = random_values(rng, 1);
  ScikitGraph graph;
  graph.tensor("coefficient", {kFeatures, 1}, w);
  graph.tensor("intercepts", {1, 1}, b);
  graph.tensor("unity", {}, {1});
  graph.node("MatMul", {"X", "coefficient"}, {"mul_result"});
  graph.node("Add", {"mul_result", "intercepts"}, {"add_result"});
  graph.node("Sigmoid", {"add_result"}, {"out_activations_result"});
  graph.node("Sub", {"unity", "out_activations_result"}, {"negative_class_proba"});
  ScikitGraph::set(
      graph.node("Concat", {"negative_class_proba", "out_activations_result"}, {"probabilities"}), "axis", 1);
  graph.label("probabilities", 2);
  graph.outputs({"output_label", "probabilities"});
  const FloatGraph read = graph.read();
  CHECK(read.softmax);
  check_logits(
      read,
      [&](const std::vector<float>& x) {
        const float l = affine(w, b, x).front();
        return std::vector<float>{-l / 2, l / 2};
      },
      rng);
}

TEST_CASE("scikit-learn's scaler and logistic regression come in", "[onnx]") {
  test::SeededRng rng(53);
  const auto offset = random_values(rng, kFeatures);
  std::vector<float> scale = random_values(rng, kFeatures);
  for (float& s : scale) s = std::abs(s) + 0.25F;
  const auto scaled = [&](std::vector<float> x) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (x[i] - offset[i]) * scale[i];
    return x;
  };
  const auto regression = [&](const std::vector<float>& w, const std::vector<float>& b, const char* post) {
    ScikitGraph graph;
    onnx::NodeProto& scaler = graph.node("Scaler", {"X"}, {"variable"}, "ai.onnx.ml");
    ScikitGraph::set(scaler, "offset", offset);
    ScikitGraph::set(scaler, "scale", scale);
    onnx::NodeProto& linear =
        graph.node("LinearClassifier", {"variable"}, {"label", "probability_tensor"}, "ai.onnx.ml");
    ScikitGraph::set(linear, "coefficients", w);
    ScikitGraph::set(linear, "intercepts", b);
    ScikitGraph::set(linear, "post_transform", std::string(post));
    ScikitGraph::set(graph.node("Normalizer", {"probability_tensor"}, {"probabilities"}, "ai.onnx.ml"),
                     "norm", std::string("L1"));
    ScikitGraph::set(graph.node("Cast", {"label"}, {"output_label"}), "to", onnx::TensorProto::INT64);
    graph.node("ZipMap", {"probabilities"}, {"output_probability"}, "ai.onnx.ml");
    graph.outputs({"output_label", "output_probability"});
    return graph.read();
  };
  const auto w = random_values(rng, 3 * kFeatures), b = random_values(rng, 3);
  for (const bool softmax : {true, false}) {
    const FloatGraph read = regression(w, b, softmax ? "SOFTMAX" : "LOGISTIC");
    CHECK(read.softmax == softmax);
    check_logits(
        read, [&](const std::vector<float>& x) { return affine(w, b, scaled(x)); }, rng);
  }
  // Two classes are written as two opposite rows.
  std::vector<float> two(w.begin(), w.begin() + kFeatures), two_bias = {-b[0], b[0]};
  for (std::size_t i = 0; i < kFeatures; ++i) two.insert(two.begin() + static_cast<std::ptrdiff_t>(i), -w[i]);
  const FloatGraph read = regression(two, two_bias, "LOGISTIC");
  CHECK(read.softmax);
  check_logits(
      read,
      [&](const std::vector<float>& x) {
        std::vector<float> y = affine(two, two_bias, scaled(x));
        for (float& v : y) v /= 2;
        return y;
      },
      rng);
  CHECK_THROWS_AS(regression(w, b, "PROBIT"), InputError);
}
