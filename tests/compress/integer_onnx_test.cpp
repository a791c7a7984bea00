// The integer network as ONNX: read back and run with LibTorch in double precision, it computes the plaintext
// evaluator's integers.
#include "compress/onnx/integer_onnx.h"

#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "compress/executor.h"
#include "compress/onnx/onnx_import.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::compress;
using models::IntegerNetwork;
using models::NodeKind;

namespace {

/// Outputs of the ONNX file, read and run with other code than the plaintext evaluator.
std::vector<double> run(const Bytes& file, const WideVector& input, Executor::Precision precision) {
  const FloatGraph graph = parse_onnx(file, "integer.onnx");
  std::vector<double> values(input.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = input.to_double(i);
  Executor executor(graph, precision);
  return executor.run(std::span<const double>(values), 1);
}

void require_equal(const std::vector<double>& found, const WideVector& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == expected.to_double(i));
}

onnx::ModelProto parse(const Bytes& file) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromArray(file.data(), static_cast<int>(file.size())));
  return model;
}

std::string metadata(const onnx::ModelProto& model, const std::string& key) {
  for (const auto& entry : model.metadata_props()) {
    if (entry.key() == key) return entry.value();
  }
  return "";
}

}  // namespace

TEST_CASE("exported integer networks of every node kind compute the exact integers") {
  test::SeededRng rng(71);
  int exact = 0, single = 0;
  std::map<NodeKind, int> kinds;
  for (int round = 0; round < 150; ++round) {
    test::RandomNetworkOptions options;
    options.nodes = 1 + rng.below(9);
    options.max_weight = round % 3 == 0 ? 1 : round % 3 == 1 ? 7 : 500;
    options.bias_bits = round % 3 == 2 ? 22 : 10;
    const IntegerNetwork network = test::random_network(rng, options);
    const IntegerOnnx exported = integer_onnx(network);
    CHECK(integer_onnx(network).file == exported.file);
    CHECK(metadata(parse(exported.file), "popcorn.integer") == network.config_id());
    CHECK(metadata(parse(exported.file), "popcorn.integer.exact") ==
          (exported.inexact.empty() ? "true" : "false"));
    if (!exported.inexact.empty()) continue;
    ++exact;
    single += exported.double_precision ? 0 : 1;
    for (const models::Node& node : network.nodes) ++kinds[node.kind];
    for (int k = 0; k < 3; ++k) {
      const WideVector input = test::random_input(rng, network);
      require_equal(run(exported.file, input,
                        exported.double_precision ? Executor::Precision::double_precision
                                                  : Executor::Precision::single_precision),
                    evaluate(network, input));
    }
  }
  CHECK(exact > 100);
  CHECK(single > 10);
  CHECK(exact - single > 10);
  CHECK(kinds.size() == 11);
}

TEST_CASE("single precision names the nodes that need more and is exact in the others") {
  test::SeededRng rng(72);
  int named = 0;
  for (int round = 0; round < 40; ++round) {
    const IntegerNetwork network = test::random_network(rng);
    const IntegerOnnx exported = integer_onnx(network, OnnxNumbers::single_precision);
    CHECK_FALSE(exported.double_precision);
    const onnx::ModelProto model = parse(exported.file);
    CHECK(model.graph().input(0).type().tensor_type().elem_type() == onnx::TensorProto::FLOAT);
    for (const std::string& name : exported.inexact) CHECK(network.find(name));
    named += exported.inexact.empty() ? 0 : 1;
    for (const models::Node& node : network.nodes) {
      const bool listed = std::count(exported.inexact.begin(), exported.inexact.end(), node.name) > 0;
      if (node.bounds.bits > 24) CHECK(listed);
    }
  }
  CHECK(named > 5);
}

TEST_CASE("weights and biases of an exported network are the network's, beyond single precision too") {
  test::SeededRng rng(73);
  test::RandomNetworkOptions options;
  options.nodes = 3;
  options.bias_bits = 50;
  options.kinds = {NodeKind::conv2d, NodeKind::relu};
  const IntegerNetwork network = test::random_network(rng, options);
  const IntegerOnnx exported = integer_onnx(network);
  REQUIRE(exported.double_precision);
  const onnx::ModelProto model = parse(exported.file);
  int compared = 0;
  for (const models::Node& node : network.nodes) {
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      const bool bias = tensor.name() == node.name + ".bias";
      if (!bias && tensor.name() != node.name + ".weight") continue;
      REQUIRE(tensor.data_type() == onnx::TensorProto::DOUBLE);
      std::vector<double> values(tensor.raw_data().size() / sizeof(double));
      std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
      REQUIRE(values.size() == (bias ? node.bias.size() : node.weights.size()));
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(values[i] == (bias ? static_cast<double>(node.bias.to_int64(i)) : node.weights[i]));
      }
      ++compared;
    }
  }
  CHECK(compared >= 2);
}

TEST_CASE("names that collide with those of tensors stay apart") {
  IntegerNetwork network;
  network.name = "collision";
  network.encoding.shape = {1, 2, 2};
  const auto add = [&](NodeKind kind, const std::string& name, std::vector<std::int32_t> weights) {
    models::Node node;
    node.kind = kind;
    node.name = name;
    if (kind != NodeKind::input) node.inputs = {network.nodes.size() - 1};
    if (!weights.empty()) node.shape = {static_cast<std::int64_t>(weights.size()), 1, 1};
    node.weights = std::move(weights);
    network.nodes.push_back(node);
  };
  add(NodeKind::input, "x", {});
  add(NodeKind::conv2d, "a", {3, -2});
  network.nodes.back().shape = {2, 2, 2};
  add(NodeKind::relu, "a.weight", {});
  add(NodeKind::sign, "a.bias", {});
  add(NodeKind::flatten, "a.bias.half", {});
  add(NodeKind::output, "a.bias.shifted", {});
  network.finish();
  const IntegerOnnx exported = integer_onnx(network);
  std::set<std::string> names;
  const onnx::ModelProto model = parse(exported.file);
  for (const auto& tensor : model.graph().initializer()) CHECK(names.insert(tensor.name()).second);
  for (const auto& node : model.graph().node()) CHECK(names.insert(node.output(0)).second);
  test::SeededRng rng(74);
  const WideVector input = test::random_input(rng, network);
  require_equal(run(exported.file, input, Executor::Precision::single_precision), evaluate(network, input));
}

TEST_CASE("values beyond the range of the format are refused by the name of the node") {
  test::SeededRng rng(75);
  test::RandomNetworkOptions options;
  options.bias_bits = 1200;
  options.kinds = {NodeKind::conv2d};
  const IntegerNetwork network = test::random_network(rng, options);
  CHECK_THROWS_AS(integer_onnx(network), InputError);
  CHECK_THROWS_AS(integer_onnx(network, OnnxNumbers::single_precision), InputError);
}
