// Builds a FloatGraph from the nodes of an ONNX graph, one by one. Includes the ONNX messages.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compress/float_graph.h"
#include "compress/onnx/onnx_constant.h"
#include "compress/onnx/onnx_qdq.h"

namespace popcorn::compress {

/// What an ONNX name stands for: a constant, or the output of a float node seen with ONNX's dimensions.
struct OnnxValue {
  std::optional<OnnxConstant> constant;
  std::size_t node = 0;
  std::vector<std::int64_t> dims;  ///< with the batch, which is 1
  bool channels_last = false;      ///< the dimensions are N, H, W, C; the float node is always channel first
  /// A vector that was flattened channel last: the shape it had; the next dense layer reorders its columns.
  std::optional<models::Shape> flattened_from;
  /// Still seen as a picture, but its node is that picture's flatten, because something differs from place to
  /// place within a channel.
  bool by_place = false;
  bool lowest_padding = false;  ///< the padding is −∞, for a maximum, in place of zeros
  models::Window padding;       ///< zeros around the picture that the next convolution or pool takes over
  /// A limit from above (Min, Clip) that waits for the limit of zero from below: together they are a clip.
  std::optional<float> upper;
  /// Between a QuantizeLinear and its DequantizeLinear, which alone may read it. The value itself is not
  /// rounded.
  std::optional<OnnxQuantisation> quantised;
  /// What was dropped at the end of the network, where only the graph output may follow.
  enum class End { none, softmax, sigmoid, sigmoid_complement, arg_max } end = End::none;
  bool unknown = false;  ///< a node that was not taken over made it

  bool padded() const noexcept {
    return padding.pad_top + padding.pad_bottom + padding.pad_left + padding.pad_right > 0;
  }
};

/// Largest side of a kernel, a stride, a padding.
constexpr std::int64_t kMaxOnnxWindow = 1 << 16;
/// The value, when it lies in [1, kMaxOnnxWindow]. @throws NotSupported that says what it is
std::int64_t positive_extent(std::int64_t value, const char* what);

class OnnxBuilder {
 public:
  /// @param keep_saturation whether the upper limit of quantised activations becomes a clip
  /// @param output_node the graph output, or any node or value, that the network ends with; empty: the
  /// obvious one
  explicit OnnxBuilder(const onnx::GraphProto& source, bool keep_saturation = false,
                       ExternalBytes external = {}, std::string output_node = {})
      : source_(source),
        keep_saturation_(keep_saturation),
        external_(std::move(external)),
        output_node_(std::move(output_node)) {}

  /// Takes over initialisers, the input (with this shape if given) and all nodes.
  void build(const std::optional<models::Shape>& input_shape);
  /// One line for each node that the output needs and that could not be taken over: name, operator, reason.
  const std::vector<std::string>& problems() const noexcept { return problems_; }
  /// Whether one of them is an operator that the importer does not know.
  bool has_unknown_operator() const noexcept { return unknown_operator_; }
  /// The nodes up to the graph's output; only without problems.
  FloatGraph take();

  static const std::vector<std::string>& operators();

 private:
  using Handler = OnnxValue (OnnxBuilder::*)(const onnx::NodeProto&);
  static const std::map<std::string, Handler>& handlers();

  void add_initialisers();
  void add_input(const std::optional<models::Shape>& shape);
  void add_node(int index);
  std::optional<OnnxConstant> constant_result(const onnx::NodeProto& node) const;
  std::vector<std::int64_t> given_dims(const onnx::ValueInfoProto& input, const models::Shape* wanted);
  void choose_output();
  void check_output();
  void end_with_two_classes();
  /// Problems of the nodes that `output` needs.
  std::vector<std::string> problems_of(const std::string& output) const;

  OnnxValue convolution(const onnx::NodeProto& node);
  OnnxValue gemm(const onnx::NodeProto& node);
  OnnxValue mat_mul(const onnx::NodeProto& node);
  OnnxValue batch_normalisation(const onnx::NodeProto& node);
  OnnxValue element_wise(const onnx::NodeProto& node);  ///< Add, Sub, Mul, Div
  OnnxValue relu(const onnx::NodeProto& node);
  OnnxValue clip(const onnx::NodeProto& node);
  OnnxValue sign(const onnx::NodeProto& node);
  OnnxValue max_pool(const onnx::NodeProto& node);
  OnnxValue average_pool(const onnx::NodeProto& node);
  OnnxValue global_average_pool(const onnx::NodeProto& node);
  OnnxValue global_max_pool(const onnx::NodeProto& node);
  OnnxValue sum(const onnx::NodeProto& node);  ///< Sum, Mean
  OnnxValue negative(const onnx::NodeProto& node);
  OnnxValue reduce_sum(const onnx::NodeProto& node);
  OnnxValue log(const onnx::NodeProto& node);
  OnnxValue scaler(const onnx::NodeProto& node);
  OnnxValue linear_classifier(const onnx::NodeProto& node);
  OnnxValue normaliser(const onnx::NodeProto& node);
  OnnxValue extreme(const onnx::NodeProto& node);  ///< Max, Min
  OnnxValue cast(const onnx::NodeProto& node);
  OnnxValue gather(const onnx::NodeProto& node);
  OnnxValue sigmoid(const onnx::NodeProto& node);
  OnnxValue arg_max(const onnx::NodeProto& node);
  OnnxValue zip_map(const onnx::NodeProto& node);
  OnnxValue dynamic_quantize(const onnx::NodeProto& node);
  OnnxValue reduce_mean(const onnx::NodeProto& node);
  OnnxValue concat(const onnx::NodeProto& node);
  OnnxValue flatten(const onnx::NodeProto& node);
  OnnxValue reshape(const onnx::NodeProto& node);
  OnnxValue squeeze(const onnx::NodeProto& node);
  OnnxValue unsqueeze(const onnx::NodeProto& node);
  OnnxValue transpose(const onnx::NodeProto& node);
  OnnxValue pad(const onnx::NodeProto& node);
  OnnxValue slice(const onnx::NodeProto& node);
  OnnxValue quantize_linear(const onnx::NodeProto& node);
  OnnxValue dequantize_linear(const onnx::NodeProto& node);
  OnnxValue identity(const onnx::NodeProto& node);
  OnnxValue softmax(const onnx::NodeProto& node);

  const OnnxValue* operand(const onnx::NodeProto& node, int k) const;  ///< null when absent
  /// What a node reads that only looks at it otherwise: nothing is computed, an end may stand before it.
  OnnxValue viewed(const onnx::NodeProto& node, int k) const;
  /// A value to compute with; a picture that is seen as a vector gets a flatten.
  /// @param by_place_allowed whether the reader treats every place alike
  OnnxValue activation(const onnx::NodeProto& node, int k, bool padding_allowed = false,
                       bool by_place_allowed = false);
  OnnxValue picture(const onnx::NodeProto& node, int k, bool padding_allowed = false);
  OnnxValue flattened(const onnx::NodeProto& node, OnnxValue x);
  const OnnxConstant& constant(const onnx::NodeProto& node, int k) const;
  const OnnxConstant* optional_constant(const onnx::NodeProto& node, int k) const;
  /// The constant's value for each channel; nothing when it differs within one.
  std::optional<std::vector<float>> per_channel(const OnnxConstant& values, const OnnxValue& x) const;
  const models::Shape& shape(const OnnxValue& value) const { return graph_.nodes[value.node].shape; }

  FloatNode start(FloatKind kind, const onnx::NodeProto& node, const OnnxValue& x);
  /// Appends a node and returns its value: picture or vector as its shape says. The shape is a copy because a
  /// reference into the node list would not outlive the growth of that list.
  OnnxValue emit(FloatNode node, models::Shape shape);
  /// As emit, for nodes that keep shape and layout.
  OnnxValue emit_like(FloatNode node, const OnnxValue& x);
  OnnxValue dense(const onnx::NodeProto& node, const OnnxValue& x, std::vector<float> weights,
                  std::vector<float> bias);
  OnnxValue relabel(const onnx::NodeProto& node, OnnxValue x, std::vector<std::int64_t> dims);
  models::Window window(const onnx::NodeProto& node, const OnnxValue& x, std::int64_t kernel_height,
                        std::int64_t kernel_width) const;
  void round_up(const onnx::NodeProto& node, const OnnxValue& x, models::Window& w) const;
  OnnxValue pool_over(const onnx::NodeProto& node, const OnnxValue& x, FloatKind kind, bool height,
                      bool width);
  OnnxValue sum_of(const onnx::NodeProto& node, OnnxValue a, OnnxValue b);
  OnnxValue with_constant(const onnx::NodeProto& node, const std::string& op, const OnnxValue& x,
                          const OnnxConstant& values, bool constant_first);
  OnnxValue larger_or_smaller(const onnx::NodeProto& node, bool maximum, const OnnxValue& a,
                              const OnnxValue& b);
  /// One value for each place of a picture, times `gamma` plus `beta`, both in the order of its flatten.
  OnnxValue scaled_by_place(const onnx::NodeProto& node, const OnnxValue& x, std::vector<float> gamma,
                            std::vector<float> beta);
  OnnxValue mean_by_place(const onnx::NodeProto& node, const OnnxValue& x);
  OnnxValue average_by_place(const onnx::NodeProto& node, const OnnxValue& x, FloatNode pool,
                             const models::Window& seen);
  OnnxValue scaled(const onnx::NodeProto& node, const OnnxValue& x, float factor);
  OnnxValue rectified(const onnx::NodeProto& node, const OnnxValue& x);
  OnnxValue limited(const onnx::NodeProto& node, OnnxValue x, float low, float high);
  OnnxValue choose_channels(const onnx::NodeProto& node, const OnnxValue& x,
                            const std::vector<std::int64_t>& channels);
  OnnxValue spread_channels(const onnx::NodeProto& node, const OnnxValue& x, std::int64_t before,
                            std::int64_t after);
  /// N × C × (H·W).
  static bool is_plane_view(const std::vector<std::int64_t>& dims, const models::Shape& from);
  bool keeps_non_negative(const FloatNode& node) const;
  std::string unique_name(const std::string& wanted);
  static std::string display_name(const onnx::NodeProto& node);

  const onnx::GraphProto& source_;
  bool keep_saturation_;
  ExternalBytes external_;
  std::string output_node_;
  std::string output_;  ///< the value that the network ends with
  bool unknown_operator_ = false;
  /// A vector input read as a picture: whether its channels come last. Unset until somebody looks.
  std::optional<bool> input_channels_last_;
  bool input_is_vector_ = false;
  struct Problem {
    int node;          ///< of the source; −1: the input, −2: an initialiser
    std::string name;  ///< of the value that is missing
    std::string text;
    bool unknown_operator = false;
  };
  std::vector<Problem> found_;
  FloatGraph graph_;
  std::vector<bool> non_negative_;  ///< per node: no value is below zero; the input counts as such
  std::map<std::string, OnnxValue> values_;
  std::set<std::string> names_;
  std::vector<std::string> problems_;
};

}  // namespace popcorn::compress
