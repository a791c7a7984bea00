// ONNX files that are damaged, inconsistent or out of range: an InputError that names the file, never a
// crash.
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "compress/onnx/onnx_export.h"
#include "compress/onnx/onnx_import.h"
#include "tests/compress/random_graph.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

/// input[1, channels, 4, 4] → node(input, weight) → output, where a test fills in the node.
struct Model {
  onnx::ModelProto proto;
  onnx::NodeProto* node;

  explicit Model(const std::string& op, std::int64_t channels = 2) {
    onnx::OperatorSetIdProto* opset = proto.add_opset_import();
    opset->set_domain("");
    opset->set_version(13);
    onnx::GraphProto& graph = *proto.mutable_graph();
    onnx::ValueInfoProto& input = *graph.add_input();
    input.set_name("input");
    for (const std::int64_t d : {std::int64_t{1}, channels, std::int64_t{4}, std::int64_t{4}}) {
      input.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(d);
    }
    graph.add_output()->set_name("output");
    node = add_node(op, {"input"}, "output");
  }

  onnx::NodeProto* add_node(const std::string& op, const std::vector<std::string>& inputs,
                            const std::string& output) {
    onnx::NodeProto* added = proto.mutable_graph()->add_node();
    added->set_op_type(op);
    added->set_name("the_" + op);
    for (const std::string& name : inputs) added->add_input(name);
    added->add_output(output);
    return added;
  }

  onnx::TensorProto& tensor(const std::string& name, const std::vector<std::int64_t>& dims,
                            std::size_t values) {
    onnx::TensorProto& t = *proto.mutable_graph()->add_initializer();
    t.set_name(name);
    t.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t d : dims) t.add_dims(d);
    for (std::size_t i = 0; i < values; ++i) t.add_float_data(1);
    return t;
  }

  void attribute(const char* name, const std::vector<std::int64_t>& values) {
    onnx::AttributeProto& a = *node->add_attribute();
    a.set_name(name);
    for (const std::int64_t v : values) a.add_ints(v);
    if (values.size() == 1) a.set_i(values.front());
  }

  std::string error() const {
    const std::string bytes = proto.SerializeAsString();
    try {
      parse_onnx(as_bytes(bytes), "the-file.onnx");
    } catch (const InputError& problem) {
      CHECK(std::string(problem.what()).find("the-file.onnx") != std::string::npos);
      return problem.what();
    }
    return "";
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a small consistent model is read") {
  Model model("Conv");
  model.node->add_input("weight");
  model.tensor("weight", {3, 2, 3, 3}, 54);
  CHECK(model.error().empty());
}

TEST_CASE("garbage is not an ONNX file") {
  test::SeededRng rng(1);
  for (int round = 0; round < 300; ++round) {
    Bytes bytes(rng.below(300));
    rng.fill(bytes);
    CHECK_THROWS_AS(parse_onnx(bytes, "garbage"), InputError);
  }
  CHECK_THROWS_AS(parse_onnx({}, "empty"), InputError);
}

TEST_CASE("damaged files never crash") {
  test::SeededRng rng(2);
  int files = 0, refused = 0;
  for (int round = 0; round < 12; ++round) {
    const Bytes good = serialise_onnx(test::random_graph(rng, {true, true, true, true, true}));
    for (int k = 0; k < 60; ++k) {
      Bytes bad = good;
      if (k % 3 == 0) bad.resize(rng.below(bad.size()));
      for (std::uint64_t flips = rng.below(4) + (k % 3 == 0 ? 0 : 1); flips > 0 && !bad.empty(); --flips) {
        bad[rng.below(bad.size())] = static_cast<std::uint8_t>(rng.below(256));
      }
      ++files;
      try {
        parse_onnx(bad, "damaged").finish();
      } catch (const InputError& problem) {
        CHECK(contains(problem.what(), "damaged"));
        ++refused;
      }
    }
  }
  // A third is cut off; of the others some only have another weight.
  CHECK(refused > files / 3);
  CHECK(refused < files);
}

TEST_CASE("every node that is not supported is reported, by name and operator") {
  Model model("Relu");
  model.node->set_output(0, "a");
  model.add_node("LSTM", {"a"}, "b");
  model.add_node("Relu", {"b"}, "c");  // after an unknown node: not the cause, not reported
  model.add_node("Einsum", {"c"}, "d");
  model.add_node("Mul", {"a", "a"}, "e");
  model.add_node("Add", {"d", "e"}, "output");
  const std::string error = model.error();
  CHECK(contains(error, "3 parts"));
  CHECK(contains(error, "the_LSTM (LSTM)"));
  CHECK(contains(error, "the_Einsum (Einsum)"));
  CHECK(contains(error, "the_Mul (Mul)"));
  CHECK_FALSE(contains(error, "the_Relu"));
  CHECK(contains(error, "supported operators: Add ArgMax AveragePool"));
}

TEST_CASE("tensors whose size and content differ are refused") {
  SECTION("fewer values than dimensions say") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 53);
    CHECK(contains(model.error(), "expected 54"));
  }
  SECTION("raw bytes of the wrong length") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 0).set_raw_data("abc");
    CHECK(contains(model.error(), "3 bytes"));
  }
  SECTION("dimensions whose product overflows") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {std::int64_t{1} << 40, std::int64_t{1} << 40}, 0);
    CHECK(contains(model.error(), "invalid size"));
  }
  SECTION("negative dimensions") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {-1, -1}, 1);
    CHECK(contains(model.error(), "invalid size"));
  }
  SECTION("values in another file") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 0).set_data_location(onnx::TensorProto::EXTERNAL);
    CHECK(contains(model.error(), "another file"));
  }
  SECTION("a foreign type") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 54).set_data_type(onnx::TensorProto::STRING);
    CHECK(contains(model.error(), "data type"));
  }
  SECTION("values that are not numbers") {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 54).set_float_data(3, NAN);
    CHECK(contains(model.error(), "not a number"));
  }
}

TEST_CASE("indices that are not integers are refused") {
  Model model("Relu");
  model.tensor("data", {2}, 2);
  model.tensor("indices", {1}, 1);
  model.proto.mutable_graph()->mutable_node()->RemoveLast();
  model.add_node("Gather", {"data", "indices"}, "part");
  model.add_node("Add", {"input", "part"}, "output");
  CHECK(contains(model.error(), "the_Gather (Gather): its indices are not integers"));
}

TEST_CASE("a Shape of nothing is refused") {
  Model model("Relu");
  model.proto.mutable_graph()->mutable_node()->RemoveLast();
  model.add_node("Shape", {""}, "dims");
  model.add_node("Reshape", {"input", "dims"}, "output");
  CHECK(contains(model.error(), "the_Shape (Shape): supported on constants only"));
}

TEST_CASE("an element-wise node without one of its operands is refused") {
  for (const int missing : {0, 1}) {
    Model model("Add");
    model.node->add_input("input");
    model.node->set_input(missing, "");
    CHECK(contains(model.error(), "the_Add (Add): operand " + std::to_string(missing) + " is missing"));
  }
}

TEST_CASE("windows out of range are refused") {
  const auto conv_with = [](const char* name, const std::vector<std::int64_t>& values) {
    Model model("Conv");
    model.node->add_input("weight");
    model.tensor("weight", {3, 2, 3, 3}, 54);
    model.attribute(name, values);
    return model.error();
  };
  CHECK(conv_with("strides", {1, 1}).empty());
  CHECK_FALSE(conv_with("strides", {0, 1}).empty());
  CHECK_FALSE(conv_with("strides", {-1, 1}).empty());
  CHECK_FALSE(conv_with("strides", {1}).empty());
  CHECK_FALSE(conv_with("dilations", {1, 9}).empty());
  CHECK_FALSE(conv_with("dilations", {std::int64_t{1} << 62, 1}).empty());
  CHECK_FALSE(conv_with("pads", {-1, 0, 0, 0}).empty());
  CHECK_FALSE(conv_with("pads", {0, 0, 0, std::int64_t{1} << 60}).empty());
  CHECK_FALSE(conv_with("group", {0}).empty());
  CHECK_FALSE(conv_with("group", {-2}).empty());
  CHECK_FALSE(conv_with("group", {std::int64_t{1} << 50}).empty());
}

TEST_CASE("hostile graphs are refused") {
  SECTION("a node that reads its own output") {
    Model model("Relu");
    model.node->set_input(0, "output");
    CHECK(contains(model.error(), "nothing before it"));
  }
  SECTION("no input") {
    Model model("Relu");
    model.proto.mutable_graph()->clear_input();
    CHECK(contains(model.error(), "no input"));
  }
  SECTION("two inputs") {
    Model model("Relu");
    model.proto.mutable_graph()->add_input()->set_name("second");
    CHECK(contains(model.error(), "only one graph input"));
  }
  SECTION("no output") {
    Model model("Relu");
    model.proto.mutable_graph()->clear_output();
    CHECK(contains(model.error(), "no output"));
  }
  SECTION("an old operator set") {
    Model model("Relu");
    model.proto.mutable_opset_import(0)->set_version(6);
    CHECK(contains(model.error(), "operator set 6"));
  }
  SECTION("a huge input") {
    Model model("Relu", std::int64_t{1} << 40);
    CHECK(contains(model.error(), "dimensions"));
  }
  SECTION("a Softmax in the middle") {
    Model model("Flatten");
    model.node->set_output(0, "a");
    model.add_node("Softmax", {"a"}, "b");
    model.add_node("Relu", {"b"}, "output");
    CHECK(contains(model.error(), "follows a Softmax"));
  }
  SECTION("a reshape with a zero") {
    Model model("Reshape");
    model.node->add_input("target");
    onnx::TensorProto& target = model.tensor("target", {2}, 0);
    target.set_data_type(onnx::TensorProto::INT64);
    target.add_int64_data(-1);
    target.add_int64_data(std::int64_t{1} << 62);
    CHECK(contains(model.error(), "target shape"));
  }
  SECTION("metadata that are not what they should be") {
    for (const char* key : {"popcorn.input.encoding", "popcorn.labels", "popcorn.input.mean"}) {
      Model model("Relu");
      onnx::StringStringEntryProto& entry = *model.proto.add_metadata_props();
      entry.set_key(key);
      entry.set_value("{\"nonsense\": [");
      CHECK_FALSE(model.error().empty());
    }
  }
}
