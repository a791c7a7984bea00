// One network in the spellings of several exporters: the importer must see the same function in all of them.
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>

#include "compress/executor.h"
#include "compress/onnx/onnx_import.h"
#include "compress/onnx/onnx_writer.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

using Dims = std::vector<std::int64_t>;

/// Weights that 16 bits hold exactly.
std::vector<float> small_values(test::SeededRng& rng, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(rng.between(-64, 64)) / 64;
  return values;
}

struct ConvLayer {
  std::int64_t in, out, kernel, stride;
  std::vector<float> weights, bias;
  bool residual, pool;
};

/// What is spelled.
struct Network {
  std::int64_t channels, height, width;
  std::vector<ConvLayer> layers;
  bool global;  ///< global average in place of flatten
  std::int64_t features, hidden, classes;
  std::vector<float> first, first_bias, second, second_bias;
};

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

Network random_network(test::SeededRng& rng) {
  Network n;
  n.channels = rng.below(2) == 0 ? 1 : 3;
  n.height = rng.between(5, 9);
  n.width = rng.between(5, 9);
  std::int64_t c = n.channels, h = n.height, w = n.width;
  for (std::uint64_t count = rng.below(3); count > 0; --count) {
    ConvLayer layer{c, rng.between(2, 5), rng.between(1, 3), rng.between(1, 2), {}, {}, false, false};
    layer.residual = layer.stride == 1 && rng.below(2) == 0;
    if (layer.residual) layer.out = c;
    layer.pool = rng.below(3) == 0;
    layer.weights = small_values(rng, layer.out * c * layer.kernel * layer.kernel);
    layer.bias = small_values(rng, layer.out);
    c = layer.out;
    h = ceil_div(h, layer.stride);
    w = ceil_div(w, layer.stride);
    if (layer.pool) {
      h = ceil_div(h, 2);
      w = ceil_div(w, 2);
    }
    n.layers.push_back(std::move(layer));
  }
  n.global = !n.layers.empty() && rng.below(2) == 0;
  n.features = n.global ? c : c * h * w;
  n.hidden = rng.between(3, 8);
  n.classes = rng.between(2, 6);
  n.first = small_values(rng, n.hidden * n.features);
  n.first_bias = small_values(rng, n.hidden);
  n.second = small_values(rng, n.classes * n.hidden);
  n.second_bias = small_values(rng, n.classes);
  return n;
}

/// Writes a network, choosing among spellings.
class Speller {
 public:
  Speller(const Network& network, test::SeededRng& rng, bool plain) : n_(network), rng_(rng), plain_(plain) {
    onnx::OperatorSetIdProto* const opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(13);
  }

  onnx::ModelProto write() {
    std::string x = input();
    h_ = n_.height;
    w_ = n_.width;
    for (const ConvLayer& layer : n_.layers) x = convolution(x, layer);
    x = n_.global ? global_average(x) : flatten(x);
    x = dense(x, n_.first, n_.first_bias, n_.features);
    x = maybe_nothing(rectify(x));
    x = dense(x, n_.second, n_.second_bias, n_.hidden);
    end(x);
    return model_;
  }

 private:
  bool chance() { return !plain_ && rng_.below(2) == 0; }
  std::uint64_t choice(std::uint64_t count) { return plain_ ? 0 : rng_.below(count); }
  std::string fresh(const char* stem) { return std::string(stem) + std::to_string(++names_); }
  onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  std::string node(const char* op, const std::vector<std::string>& inputs,
                   const std::function<void(onnx::NodeProto&)>& with = {}) {
    onnx::NodeProto& made = *graph().add_node();
    made.set_op_type(op);
    for (const std::string& name : inputs) made.add_input(name);
    const std::string output = fresh("v");
    made.add_output(output);
    if (with) with(made);
    return output;
  }

  static void set(onnx::NodeProto& made, const char* name, const Dims& values) {
    onnx::AttributeProto& a = *made.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t v : values) a.add_ints(v);
  }
  static void set(onnx::NodeProto& made, const char* name, std::int64_t value) {
    onnx::AttributeProto& a = *made.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(value);
  }
  static void set(onnx::NodeProto& made, const char* name, const char* text) {
    onnx::AttributeProto& a = *made.add_attribute();
    a.set_name(name);
    a.set_type(onnx::AttributeProto::STRING);
    a.set_s(text);
  }

  static std::uint16_t half(float value) {
    if (value == 0) return 0;
    int exponent = 0;
    const float fraction = std::frexp(std::abs(value), &exponent);  // in [0.5, 1)
    const auto mantissa = static_cast<std::uint16_t>(std::lround(std::ldexp(fraction, 11)) - 1024);
    return static_cast<std::uint16_t>((value < 0 ? 0x8000U : 0U) |
                                      static_cast<unsigned>((exponent + 14) << 10) | mantissa);
  }

  /// A constant as an initialiser or a node, in one of the types that hold it exactly.
  std::string constant(const Dims& dims, const std::vector<float>& values) {
    onnx::TensorProto tensor;
    for (const std::int64_t d : dims) tensor.add_dims(d);
    bool cast = false;
    switch (choice(4)) {
      case 1: {
        tensor.set_data_type(onnx::TensorProto::FLOAT16);
        std::string raw;
        for (const float v : values) {
          const std::uint16_t bits = half(v);
          raw.append(reinterpret_cast<const char*>(&bits), 2);
        }
        tensor.set_raw_data(raw);
        cast = chance();
        break;
      }
      case 2:
        tensor.set_data_type(onnx::TensorProto::DOUBLE);
        for (const float v : values) tensor.add_double_data(static_cast<double>(v));
        cast = chance();
        break;
      case 3:
        tensor.set_data_type(onnx::TensorProto::BFLOAT16);
        for (const float v : values) {
          std::uint32_t bits = 0;
          std::memcpy(&bits, &v, 4);
          REQUIRE((bits & 0xffffU) == 0);  // seven bits are enough for these
          tensor.add_int32_data(static_cast<std::int32_t>(bits >> 16));
        }
        break;
      default:
        tensor.set_data_type(onnx::TensorProto::FLOAT);
        for (const float v : values) tensor.add_float_data(v);
    }
    std::string name = give(std::move(tensor));
    if (cast) name = node("Cast", {name}, [](onnx::NodeProto& made) { set(made, "to", std::int64_t{1}); });
    return name;
  }

  std::string integers(const Dims& values, bool scalar = false) {
    onnx::TensorProto tensor;
    if (!scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
    tensor.set_data_type(onnx::TensorProto::INT64);
    for (const std::int64_t v : values) tensor.add_int64_data(v);
    return give(std::move(tensor));
  }

  std::string give(onnx::TensorProto tensor) {
    if (chance()) {
      return node("Constant", {}, [&](onnx::NodeProto& made) {
        onnx::AttributeProto& a = *made.add_attribute();
        a.set_name("value");
        a.set_type(onnx::AttributeProto::TENSOR);
        *a.mutable_t() = tensor;
      });
    }
    const std::string name = fresh("w");
    tensor.set_name(name);
    *graph().add_initializer() = std::move(tensor);
    return name;
  }

  /// Nodes that do nothing.
  std::string maybe_nothing(const std::string& x) {
    switch (choice(5)) {
      case 1:
        return node("Identity", {x});
      case 2:
        return node("Cast", {x},
                    [](onnx::NodeProto& made) { set(made, "to", std::int64_t{onnx::TensorProto::FLOAT16}); });
      case 3:
        return node("Dropout", {x});
      default:
        return x;
    }
  }

  void describe_input(const Dims& dims) {
    onnx::ValueInfoProto& value = *graph().add_input();
    value.set_name("x");
    auto& type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(chance() ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT);
    auto& shape = *type.mutable_shape();
    shape.add_dim()->set_dim_param("N");
    const bool open = chance();
    for (const std::int64_t d : dims) {
      auto& dim = *shape.add_dim();
      if (open && d != n_.channels) {
        dim.set_dim_param("d" + std::to_string(shape.dim_size()));
      } else {
        dim.set_dim_value(d);
      }
    }
  }

  std::string to_first(const std::string& x) {
    return node("Transpose", {x}, [](onnx::NodeProto& made) { set(made, "perm", Dims{0, 3, 1, 2}); });
  }

  std::string input() {
    const std::int64_t c = n_.channels, h = n_.height, w = n_.width;
    const std::uint64_t how = choice(c == 1 ? 6 : 4);
    switch (how) {
      case 1:
        describe_input({h, w, c});
        return to_first("x");
      case 2:
        describe_input({c * h * w});
        return node("Reshape", {"x", integers({-1, c, h, w})});
      case 3:
        describe_input({c * h * w});
        return to_first(node("Reshape", {"x", integers({-1, h, w, c})}));
      case 4:
        describe_input({h, w});
        return node("Unsqueeze", {"x", integers({1})});
      case 5:
        describe_input({h, w});
        return to_first(node("Unsqueeze", {"x", integers({3})}));
      default:
        describe_input({c, h, w});
        return "x";
    }
  }

  static void same(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t& before,
                   std::int64_t& after) {
    const std::int64_t total =
        std::max<std::int64_t>(0, (ceil_div(size, stride) - 1) * stride + kernel - size);
    before = total / 2;
    after = total - before;
  }

  std::string convolution(const std::string& x, const ConvLayer& layer) {
    std::int64_t top = 0, bottom = 0, left = 0, right = 0;
    same(h_, layer.kernel, layer.stride, top, bottom);
    same(w_, layer.kernel, layer.stride, left, right);
    std::vector<std::string> operands = {
        x, constant({layer.out, layer.in, layer.kernel, layer.kernel}, layer.weights)};
    const bool bias_apart = chance();
    if (!bias_apart) operands.push_back(constant({layer.out}, layer.bias));
    const std::uint64_t padding = choice(3);
    if (padding == 1) {
      operands[0] = node("Pad", {maybe_nothing(x), integers({0, 0, top, left, 0, 0, bottom, right})});
    }
    std::string y = node("Conv", operands, [&](onnx::NodeProto& made) {
      set(made, "kernel_shape", Dims{layer.kernel, layer.kernel});
      set(made, "strides", Dims{layer.stride, layer.stride});
      if (padding == 2) {
        set(made, "auto_pad", "SAME_UPPER");
      } else if (padding == 0) {
        set(made, "pads", Dims{top, left, bottom, right});
      }
    });
    if (bias_apart) y = node(chance() ? "Sum" : "Add", {y, constant({1, layer.out, 1, 1}, layer.bias)});
    if (layer.residual) y = node(chance() ? "Sum" : "Add", {y, x});
    y = rectify(y);
    h_ = ceil_div(h_, layer.stride);
    w_ = ceil_div(w_, layer.stride);
    if (layer.pool) {
      same(h_, 2, 2, top, bottom);
      same(w_, 2, 2, left, right);
      const std::uint64_t how = choice(4);
      // Zeros around values that are not negative do not change a maximum.
      if (how == 2) y = node("Pad", {y, integers({0, 0, top, left, 0, 0, bottom, right})});
      y = node("MaxPool", {y}, [&](onnx::NodeProto& made) {
        set(made, "kernel_shape", Dims{2, 2});
        set(made, "strides", Dims{2, 2});
        if (how == 1) set(made, "auto_pad", "SAME_UPPER");
        if (how == 0) set(made, "pads", Dims{top, left, bottom, right});
        if (how == 3) set(made, "ceil_mode", std::int64_t{1});
      });
      h_ = ceil_div(h_, 2);
      w_ = ceil_div(w_, 2);
    }
    return maybe_nothing(y);
  }

  std::string rectify(const std::string& x) {
    switch (choice(4)) {
      case 1:
        return node("Max", {x, constant({}, {0})});
      case 2:
        return node("Clip", {x, constant({}, {0})});
      case 3:
        return node("Max", {constant({1}, {0}), x});
      default:
        return node("Relu", {x});
    }
  }

  std::string global_average(const std::string& x) {
    switch (choice(5)) {
      case 1:
        return node("ReduceMean", {x}, [](onnx::NodeProto& made) {
          set(made, "axes", Dims{2, 3});
          set(made, "keepdims", std::int64_t{0});
        });
      case 2: {
        const std::string rows =
            node("ReduceMean", {x}, [](onnx::NodeProto& made) { set(made, "axes", Dims{-1}); });
        return flatten(node("ReduceMean", {rows}, [](onnx::NodeProto& made) { set(made, "axes", Dims{2}); }));
      }
      case 3: {
        const std::string view = node("Reshape", {x, integers({0, 0, -1})});
        return node("ReduceMean", {view}, [](onnx::NodeProto& made) {
          set(made, "axes", Dims{2});
          set(made, "keepdims", std::int64_t{0});
        });
      }
      case 4:
        return flatten(node("AveragePool", {x}, [&](onnx::NodeProto& made) {
          set(made, "kernel_shape", Dims{h_, w_});
        }));
      default:
        return flatten(node("GlobalAveragePool", {x}));
    }
  }

  std::string flatten(const std::string& x) {
    switch (choice(5)) {
      case 1:
        return node("Reshape", {x, integers({-1, n_.features})});
      case 2: {
        const std::string batch =
            node("Slice", {node("Shape", {x}), integers({0}), integers({1}), integers({0})});
        return node("Reshape", {x, node("Concat", {batch, integers({-1})},
                                        [](onnx::NodeProto& made) { set(made, "axis", std::int64_t{0}); })});
      }
      case 3: {
        const std::string batch = node("Gather", {node("Shape", {x}), integers({0}, true)});
        const std::string first = node("Unsqueeze", {batch, integers({0})});
        return node("Reshape", {x, node("Concat", {first, integers({-1})},
                                        [](onnx::NodeProto& made) { set(made, "axis", std::int64_t{0}); })});
      }
      case 4: {
        const std::string rest = node("Slice", {node("Shape", {x}), integers({1}), integers({9})});
        const std::string product = node("ReduceProd", {rest});
        return node("Reshape", {x, node("Concat", {integers({-1}), product},
                                        [](onnx::NodeProto& made) { set(made, "axis", std::int64_t{0}); })});
      }
      default:
        return node("Flatten", {x});
    }
  }

  std::string dense(const std::string& x, const std::vector<float>& weights, const std::vector<float>& bias,
                    std::int64_t inputs) {
    const auto outputs = static_cast<std::int64_t>(bias.size());
    std::vector<float> transposed(weights.size());
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i)
        transposed[static_cast<std::size_t>(i * outputs + o)] =
            weights[static_cast<std::size_t>(o * inputs + i)];
    }
    switch (choice(4)) {
      case 1:
        return node("Gemm", {x, constant({inputs, outputs}, transposed), constant({1, outputs}, bias)});
      case 2:
        return node(
            "Add", {node("MatMul", {x, constant({inputs, outputs}, transposed)}), constant({outputs}, bias)});
      case 3: {
        const std::string turned = node("Transpose", {constant({outputs, inputs}, weights)});
        return node("Add", {constant({1, outputs}, bias), node("MatMul", {x, turned})});
      }
      default:
        return node("Gemm", {x, constant({outputs, inputs}, weights), constant({outputs}, bias)},
                    [](onnx::NodeProto& made) { set(made, "transB", std::int64_t{1}); });
    }
  }

  void end(const std::string& logits) {
    std::string last = logits;
    const std::uint64_t how = choice(5);
    if (how == 1 || how == 2) last = node("Softmax", {logits});
    if (how == 2) last = node("Reshape", {last, integers({-1, n_.classes})});
    if (how == 3) graph().add_output()->set_name(node("Softmax", {logits}));
    if (how == 4)
      graph().add_output()->set_name(
          node("ArgMax", {logits}, [](onnx::NodeProto& made) { set(made, "axis", std::int64_t{1}); }));
    graph().add_output()->set_name(last);
  }

  const Network& n_;
  test::SeededRng& rng_;
  bool plain_;
  onnx::ModelProto model_;
  int names_ = 0;
  std::int64_t h_ = 0, w_ = 0;
};

std::vector<float> answer(const onnx::ModelProto& model, const Network& network,
                          const std::vector<float>& inputs, std::size_t count) {
  ImportOptions options;
  options.input_shape = models::Shape{network.channels, network.height, network.width};
  const std::string bytes = model.SerializeAsString();
  const FloatGraph graph = parse_onnx(as_bytes(bytes), "spelled.onnx", options);
  CHECK(graph.input().shape == *options.input_shape);
  return Executor(graph).run(std::span<const float>(inputs), count);
}

}  // namespace

TEST_CASE("a network in the spellings of several exporters is one function") {
  test::SeededRng rng(14);
  constexpr std::size_t kPictures = 3;
  for (int round = 0; round < 60; ++round) {
    const Network network = random_network(rng);
    std::vector<float> inputs(kPictures *
                              static_cast<std::size_t>(network.channels * network.height * network.width));
    for (float& v : inputs) v = static_cast<float>(rng.between(0, 255)) / 255;
    const std::vector<float> expected =
        answer(Speller(network, rng, true).write(), network, inputs, kPictures);
    float largest = 1;
    for (const float v : expected) largest = std::max(largest, std::abs(v));
    for (int spelling = 0; spelling < 6; ++spelling) {
      const onnx::ModelProto model = Speller(network, rng, false).write();
      INFO(model.graph().DebugString());
      std::vector<float> found;
      REQUIRE_NOTHROW(found = answer(model, network, inputs, kPictures));
      REQUIRE(found.size() == expected.size());
      for (std::size_t i = 0; i < found.size(); ++i)
        REQUIRE(std::abs(found[i] - expected[i]) <= 1e-5F * largest);
    }
  }
}
