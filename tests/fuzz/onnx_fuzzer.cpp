// parse_onnx: refuses with an InputError that names the source, or gives a consistent graph.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "compress/onnx/onnx_import.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace popcorn;
using namespace popcorn::compress;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_consistent(const FloatGraph& graph) {
  FloatGraph copy = graph;
  copy.finish();  // throws where shapes, parameters or topology do not fit
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    require(graph.nodes[i].shape == copy.nodes[i].shape);
    for (const std::size_t input : graph.nodes[i].inputs) require(input < i);
  }
}

/// Changes single members of the message, so that it stays one.
class ModelMutator {
 public:
  explicit ModelMutator(unsigned seed) : random_(seed) {}

  void mutate(onnx::GraphProto& graph) {
    switch (below(4)) {
      case 0:
        if (graph.initializer_size() > 0) tensor(*graph.mutable_initializer(below(graph.initializer_size())));
        break;
      case 1:
        if (graph.node_size() > 0) copy_node(graph);
        break;
      default:
        if (graph.node_size() > 0) node(graph, *graph.mutable_node(below(graph.node_size())));
        break;
    }
  }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  std::int64_t number() {
    static constexpr std::int64_t kNumbers[] = {-1, 0,  1,   2,     3,       4,         5,         7,
                                                8,  28, 255, 65536, 1 << 20, INT32_MAX, INT64_MAX, INT64_MIN};
    return kNumbers[below(std::size(kNumbers))];
  }

  void copy_node(onnx::GraphProto& graph) {
    const onnx::NodeProto copy = graph.node(below(graph.node_size()));
    *graph.mutable_node(below(graph.node_size())) = copy;
  }

  void tensor(onnx::TensorProto& tensor) {
    static constexpr int kTypes[] = {1, 2, 3, 4, 5, 6, 7, 9, 11};
    if (below(3) == 0) {
      tensor.set_data_type(kTypes[below(std::size(kTypes))]);
    } else if (tensor.dims_size() > 1 && below(2) == 0) {
      tensor.mutable_dims()->SwapElements(0, below(tensor.dims_size()));
    } else if (tensor.dims_size() > 0) {
      tensor.set_dims(below(tensor.dims_size()), number());
    }
  }

  void node(const onnx::GraphProto& graph, onnx::NodeProto& node) {
    const std::vector<std::string> operators = onnx_operators();
    switch (below(4)) {
      case 0:
        node.set_op_type(operators[static_cast<std::size_t>(below(static_cast<int>(operators.size())))]);
        break;
      case 1:
        if (node.input_size() > 0) node.set_input(below(node.input_size()), any_name(graph));
        break;
      case 2:
        node.add_input(any_name(graph));
        break;
      default:
        attribute(node);
        break;
    }
  }

  std::string any_name(const onnx::GraphProto& graph) {
    const int all = graph.node_size() + graph.initializer_size();
    const int k = below(all + 1);
    if (k == all) return "";
    if (k >= graph.node_size()) return graph.initializer(k - graph.node_size()).name();
    return graph.node(k).output_size() > 0 ? graph.node(k).output(0) : "";
  }

  void attribute(onnx::NodeProto& node) {
    static constexpr const char* kNames[] = {"kernel_shape", "strides", "pads",     "dilations", "group",
                                             "axis",         "axes",    "auto_pad", "ceil_mode", "transB",
                                             "alpha",        "perm",    "keepdims", "to",        "epsilon",
                                             "steps",        "starts",  "ends",     "value"};
    onnx::AttributeProto& a = node.attribute_size() > 0 && below(2) == 0
                                  ? *node.mutable_attribute(below(node.attribute_size()))
                                  : *node.add_attribute();
    if (a.name().empty() || below(8) == 0) a.set_name(kNames[below(std::size(kNames))]);
    if (a.ints_size() > 0 && below(2) == 0) {
      a.set_ints(below(a.ints_size()), number());
    } else if (below(2) == 0) {
      a.add_ints(number());
    } else {
      a.set_i(number());
    }
  }

  std::minstd_rand random_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    check_consistent(parse_onnx({data, size}, "fuzz.onnx"));
  } catch (const InputError& error) {
    require(std::string(error.what()).find("fuzz.onnx") != std::string::npos);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  onnx::ModelProto model;
  if (seed % 4 == 0 || !model.ParseFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, max_size);
  ModelMutator(seed).mutate(*model.mutable_graph());
  const std::size_t bytes = model.ByteSizeLong();
  if (bytes > max_size || !model.SerializeToArray(data, static_cast<int>(bytes)))
    return LLVMFuzzerMutate(data, size, max_size);
  return bytes;
}
