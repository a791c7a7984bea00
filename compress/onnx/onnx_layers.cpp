// The operators of an ONNX graph that compute: they become nodes of a FloatGraph.
#include <algorithm>
#include <cmath>

#include "compress/onnx/onnx_builder.h"
#include "compress/onnx/onnx_import.h"

namespace popcorn::compress {

namespace {

std::vector<std::int64_t> pair(const OnnxAttributes& attributes, const char* name) {
  std::vector<std::int64_t> values = attributes.integers(name, {1, 1});
  if (values.size() != 2)
    throw NotSupported{std::string(name) + " has " + std::to_string(values.size()) +
                       " values, 2 are expected"};
  return values;
}

/// Padding of auto_pad SAME: as much as keeps ⌈size / stride⌉ positions; the odd pixel goes to the end
/// (UPPER).
void pad_same(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, bool upper,
              std::int64_t& before, std::int64_t& after) {
  const std::int64_t positions = (size + stride - 1) / stride;
  const std::int64_t total =
      std::max<std::int64_t>(0, (positions - 1) * stride + dilation * (kernel - 1) + 1 - size);
  before = upper ? total / 2 : total - total / 2;
  after = total - before;
}

bool is_flat(const std::vector<std::int64_t>& dims) {
  return std::count_if(dims.begin(), dims.end(), [](std::int64_t d) { return d != 1; }) <= 1;
}

void set_padding(models::Window& w, const std::vector<std::int64_t>& pads) {
  if (pads.size() != 4)
    throw NotSupported{"pads has " + std::to_string(pads.size()) + " values, 4 are expected"};
  for (const std::int64_t p : pads) {
    if (p < 0 || p > kMaxOnnxWindow) throw NotSupported{"a padding of " + std::to_string(p)};
  }
  w.pad_top = pads[0];
  w.pad_left = pads[1];
  w.pad_bottom = pads[2];
  w.pad_right = pads[3];
}

/// Dense weights with columns in channel-last order, reordered to channel-first.
std::vector<float> reorder_columns(const std::vector<float>& weights, const models::Shape& from) {
  const auto columns = static_cast<std::size_t>(from.size());
  const auto c_count = static_cast<std::size_t>(from.channels);
  const std::size_t plane = columns / c_count;
  std::vector<float> result(weights.size());
  for (std::size_t row = 0; row < weights.size(); row += columns) {
    for (std::size_t p = 0; p < plane; ++p) {
      for (std::size_t c = 0; c < c_count; ++c) result[row + c * plane + p] = weights[row + p * c_count + c];
    }
  }
  return result;
}

}  // namespace

std::int64_t positive_extent(std::int64_t value, const char* what) {
  if (value < 1 || value > kMaxOnnxWindow)
    throw NotSupported{std::string(what) + " is " + std::to_string(value)};
  return value;
}

std::vector<std::string> onnx_operators() {
  return OnnxBuilder::operators();
}

models::Window OnnxBuilder::window(const onnx::NodeProto& node, const OnnxValue& x,
                                   std::int64_t kernel_height, std::int64_t kernel_width) const {
  const OnnxAttributes attributes(node);
  models::Window w;
  w.kernel_height = positive_extent(kernel_height, "the kernel height");
  w.kernel_width = positive_extent(kernel_width, "the kernel width");
  const std::vector<std::int64_t> strides = pair(attributes, "strides"),
                                  dilations = pair(attributes, "dilations");
  w.stride_height = positive_extent(strides[0], "a stride");
  w.stride_width = positive_extent(strides[1], "a stride");
  w.dilation_height = positive_extent(dilations[0], "a dilation");
  w.dilation_width = positive_extent(dilations[1], "a dilation");
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const bool upper = auto_pad == "SAME_UPPER";
    // Of the tensor as ONNX sees it: with what a Pad before has added.
    pad_same(x.dims[2], w.kernel_height, w.stride_height, w.dilation_height, upper, w.pad_top, w.pad_bottom);
    pad_same(x.dims[3], w.kernel_width, w.stride_width, w.dilation_width, upper, w.pad_left, w.pad_right);
  } else if (auto_pad == "NOTSET") {
    set_padding(w, attributes.integers("pads", {0, 0, 0, 0}));
  } else if (auto_pad != "VALID") {
    throw NotSupported{"auto_pad \"" + auto_pad + "\""};
  }
  w.pad_top += x.padding.pad_top;
  w.pad_bottom += x.padding.pad_bottom;
  w.pad_left += x.padding.pad_left;
  w.pad_right += x.padding.pad_right;
  return w;
}

/// ceil_mode: a last, partial window becomes a full one by more padding at the end.
void OnnxBuilder::round_up(const onnx::NodeProto& node, const OnnxValue& x, models::Window& w) const {
  if (OnnxAttributes(node).integer("ceil_mode", 0) == 0) return;
  const auto extend = [&](std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t before,
                          std::int64_t& after) {
    const std::int64_t span = size + before + after - kernel;
    // Also of a kernel that is larger than the picture: one window then.
    std::int64_t extra = (stride - span % stride) % stride;
    if (span < 0) extra = -span < stride ? -span : 0;
    if (extra > 0 && size + before <= (span + extra)) extra = 0;  // that window would see padding only
    after += extra;
  };
  extend(shape(x).height, w.dilation_height * (w.kernel_height - 1) + 1, w.stride_height, w.pad_top,
         w.pad_bottom);
  extend(shape(x).width, w.dilation_width * (w.kernel_width - 1) + 1, w.stride_width, w.pad_left,
         w.pad_right);
}

OnnxValue OnnxBuilder::convolution(const onnx::NodeProto& node) {
  const OnnxValue x = picture(node, 0, true);
  if (x.padded() && x.lowest_padding)
    throw NotSupported{"follows a Pad with the lowest number, which only a MaxPool may"};
  const OnnxConstant& weights = constant(node, 1);
  if (weights.dims.size() != 4)
    throw NotSupported{"its weights have " + std::to_string(weights.dims.size()) +
                       " dimensions, 4 are expected"};
  FloatNode conv = start(FloatKind::conv2d, node, x);
  conv.groups = OnnxAttributes(node).integer("group", 1);
  const std::int64_t channels = shape(x).channels, outputs = weights.dims[0];
  if (outputs < 1 || conv.groups < 1 || conv.groups > channels || channels % conv.groups != 0 ||
      outputs % conv.groups != 0 || weights.dims[1] != channels / conv.groups) {
    throw NotSupported{"its weights do not fit an input of " + std::to_string(channels) + " channels in " +
                       std::to_string(conv.groups) + " groups"};
  }
  conv.window = window(node, x, weights.dims[2], weights.dims[3]);
  conv.weights = weights.values;
  const OnnxConstant* bias = optional_constant(node, 2);
  if (bias != nullptr && bias->size() != outputs) throw NotSupported{"its bias does not fit its weights"};
  conv.bias = bias != nullptr ? bias->values : std::vector<float>(static_cast<std::size_t>(outputs), 0.0F);
  const models::Shape result = window_output(shape(x), conv.window, outputs, conv.name);
  return emit(std::move(conv), result);
}

OnnxValue OnnxBuilder::dense(const onnx::NodeProto& node, const OnnxValue& operand_value,
                             std::vector<float> weights, std::vector<float> bias) {
  const OnnxValue x = flattened(node, operand_value);
  FloatNode layer = start(FloatKind::dense, node, x);
  layer.weights = x.flattened_from ? reorder_columns(weights, *x.flattened_from) : std::move(weights);
  layer.bias = std::move(bias);
  const auto outputs = static_cast<std::int64_t>(layer.bias.size());
  return emit(std::move(layer), {outputs, 1, 1});
}

OnnxValue OnnxBuilder::gemm(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  OnnxValue x = activation(node, 0);
  if (attributes.integer("transA", 0) != 0) throw NotSupported{"transA"};
  const OnnxConstant& b = constant(node, 1);
  const bool transposed = attributes.integer("transB", 0) != 0;
  if (b.dims.size() != 2 || !is_flat(x.dims))
    throw NotSupported{"its operands must be a vector and a matrix"};
  const std::int64_t inputs = b.dims[transposed ? 1 : 0], outputs = b.dims[transposed ? 0 : 1];
  if (inputs != shape(x).size() || outputs < 1)
    throw NotSupported{"its weights do not fit a vector of " + std::to_string(shape(x).size())};
  const float alpha = attributes.real("alpha", 1), beta = attributes.real("beta", 1);
  std::vector<float> weights(b.values.size());
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t at = transposed ? o * inputs + i : i * outputs + o;
      weights[static_cast<std::size_t>(o * inputs + i)] = alpha * b.values[static_cast<std::size_t>(at)];
    }
  }
  std::vector<float> bias(static_cast<std::size_t>(outputs), 0.0F);
  if (const OnnxConstant* c = optional_constant(node, 2)) {
    if (c->size() != 1 && c->size() != outputs) throw NotSupported{"its bias does not fit its weights"};
    for (std::size_t o = 0; o < bias.size(); ++o) bias[o] = beta * c->values[c->size() == 1 ? 0 : o];
  }
  return dense(node, x, std::move(weights), std::move(bias));
}

OnnxValue OnnxBuilder::mat_mul(const onnx::NodeProto& node) {
  const OnnxValue x = activation(node, 0);
  const OnnxConstant& b = constant(node, 1);
  const bool row = is_flat(x.dims) && !x.dims.empty() && x.dims.back() == shape(x).size();
  if (!row || b.dims.size() != 2 || b.dims[0] != shape(x).size() || b.dims[1] < 1) {
    throw NotSupported{"supported as vector times matrix only"};
  }
  const std::int64_t inputs = b.dims[0], outputs = b.dims[1];
  std::vector<float> weights(b.values.size());
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      weights[static_cast<std::size_t>(o * inputs + i)] = b.values[static_cast<std::size_t>(i * outputs + o)];
    }
  }
  return dense(node, x, std::move(weights), std::vector<float>(static_cast<std::size_t>(outputs), 0.0F));
}

OnnxValue OnnxBuilder::batch_normalisation(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  const OnnxValue x = activation(node, 0);
  const bool trains =
      attributes.integer("training_mode", 0) != 0 || (node.output_size() > 1 && !node.output(1).empty());
  if (trains) {
    throw NotSupported{
        "it is in training mode, where it depends on the other pictures of a batch: export the network in "
        "evaluation "
        "mode (model.eval(), or training=TrainingMode.EVAL)"};
  }
  if (attributes.integer("spatial", 1) != 1) throw NotSupported{"spatial = 0"};
  if (x.channels_last || x.flattened_from) throw NotSupported{"its operand has its channels last"};
  FloatNode norm = start(FloatKind::batch_norm, node, x);
  std::vector<float>* parts[] = {&norm.gamma, &norm.beta, &norm.mean, &norm.variance};
  for (int k = 0; k < 4; ++k) {
    const OnnxConstant& values = constant(node, k + 1);
    if (values.size() != shape(x).channels)
      throw NotSupported{"operand " + std::to_string(k + 1) + " does not have one value per channel"};
    *parts[k] = values.values;
  }
  norm.epsilon = attributes.real("epsilon", 1e-5F);
  return emit_like(std::move(norm), x);
}

OnnxValue OnnxBuilder::element_wise(const onnx::NodeProto& node) {
  if (node.input_size() != 2) throw NotSupported{"two operands are expected"};
  const std::string& op = node.op_type();
  const auto is_constant = [&](int k) {
    const OnnxValue* value = operand(node, k);
    if (value == nullptr) throw NotSupported{"operand " + std::to_string(k) + " is missing"};
    return value->constant.has_value();
  };
  const bool first_constant = is_constant(0), second_constant = is_constant(1);
  if (!first_constant && !second_constant) {
    const OnnxValue a = activation(node, 0), b = activation(node, 1);
    if (op == "Add") return sum_of(node, a, b);
    if (op == "Sub") return sum_of(node, a, scaled(node, b, -1));
    throw NotSupported{"supported with one constant operand only"};
  }
  const OnnxValue seen = viewed(node, first_constant ? 1 : 0);
  if (op == "Sub" && first_constant && seen.end == OnnxValue::End::sigmoid && constant(node, 0).size() == 1 &&
      constant(node, 0).values.front() == 1) {
    OnnxValue complement = seen;  // the probability of the other class
    complement.end = OnnxValue::End::sigmoid_complement;
    return complement;
  }
  const OnnxValue x = activation(node, first_constant ? 1 : 0, false, true);
  return with_constant(node, op, x, constant(node, first_constant ? 0 : 1), first_constant);
}

OnnxValue OnnxBuilder::with_constant(const onnx::NodeProto& node, const std::string& op, const OnnxValue& x,
                                     const OnnxConstant& values, bool constant_first) {
  if (op == "Div" && constant_first) throw NotSupported{"divides by an activation"};
  std::optional<std::vector<float>> given = per_channel(values, x);
  const bool places = !given.has_value();
  if (places) {
    if (x.channels_last || x.flattened_from ||
        x.dims != std::vector<std::int64_t>{1, shape(x).channels, shape(x).height, shape(x).width}) {
      throw NotSupported{
          "its constant operand differs from place to place within a channel, which has a form before a "
          "flatten of a picture with its channels first only: use one value a channel and fine-tune"};
    }
    given.emplace();
    const std::size_t rank = x.dims.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(shape(x).size()); ++i) {
      std::size_t at = 0, stride = 1, rest = i;
      for (std::size_t k = rank; k-- > 0;) {
        const auto size = static_cast<std::size_t>(x.dims[k]);
        const std::size_t missing = rank - values.dims.size();
        const std::int64_t extent = k >= missing ? values.dims[k - missing] : 1;
        if (extent != 1) at += rest % size * stride;
        stride *= static_cast<std::size_t>(extent);
        rest /= size;
      }
      given->push_back(values.values[at]);
    }
  }
  const std::vector<float>& c = *given;
  std::vector<float> gamma(c.size(), op == "Sub" && constant_first ? -1.0F : 1.0F), beta(c.size(), 0);
  for (std::size_t k = 0; k < c.size(); ++k) {
    if (op == "Add") beta[k] = c[k];
    if (op == "Sub") beta[k] = constant_first ? c[k] : -c[k];
    if (op == "Mul") gamma[k] = c[k];
    if (op == "Div") gamma[k] = 1 / c[k];
    if (!std::isfinite(gamma[k])) throw NotSupported{"divides by zero"};
  }
  if (places) return scaled_by_place(node, x, std::move(gamma), std::move(beta));
  FloatNode affine = start(FloatKind::affine, node, x);
  affine.gamma = std::move(gamma);
  affine.beta = std::move(beta);
  return emit_like(std::move(affine), x);
}

OnnxValue OnnxBuilder::scaled_by_place(const onnx::NodeProto& node, const OnnxValue& x,
                                       std::vector<float> gamma, std::vector<float> beta) {
  OnnxValue flat = flattened(node, x);
  flat.dims = x.dims;
  flat.by_place = true;
  FloatNode affine = start(FloatKind::affine, node, flat);
  affine.gamma = std::move(gamma);
  affine.beta = std::move(beta);
  return emit_like(std::move(affine), flat);
}

/// The mean of each channel, of a picture whose node is its flatten.
OnnxValue OnnxBuilder::mean_by_place(const onnx::NodeProto& node, const OnnxValue& x) {
  const std::int64_t outputs = x.dims[1], plane = x.dims[2] * x.dims[3], columns = outputs * plane;
  if (columns > (std::int64_t{1} << 26) / outputs)
    throw NotSupported{"its picture is too large for divisors that differ from place to place"};
  FloatNode mean = start(FloatKind::dense, node, x);
  mean.weights.assign(static_cast<std::size_t>(outputs * columns), 0);
  mean.bias.assign(static_cast<std::size_t>(outputs), 0);
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t p = 0; p < plane; ++p)
      mean.weights[static_cast<std::size_t>(o * columns + o * plane + p)] = 1 / static_cast<float>(plane);
  }
  OnnxValue result = emit(std::move(mean), {outputs, 1, 1});
  result.dims = {1, outputs, 1, 1};
  return result;
}

OnnxValue OnnxBuilder::sum_of(const onnx::NodeProto& node, OnnxValue a, OnnxValue b) {
  if (a.dims != b.dims || a.channels_last != b.channels_last || a.flattened_from != b.flattened_from ||
      !(shape(a) == shape(b))) {
    throw NotSupported{"its operands have different shapes"};
  }
  FloatNode sum = start(FloatKind::add, node, a);
  sum.inputs.push_back(b.node);
  return emit_like(std::move(sum), a);
}

OnnxValue OnnxBuilder::scaled(const onnx::NodeProto& node, const OnnxValue& x, float factor) {
  FloatNode affine = start(FloatKind::affine, node, x);
  affine.gamma.assign(static_cast<std::size_t>(shape(x).channels), factor);
  affine.beta.assign(affine.gamma.size(), 0);
  return emit_like(std::move(affine), x);
}

/// Constants among the operands are added to the first activation.
OnnxValue OnnxBuilder::sum(const onnx::NodeProto& node) {
  std::optional<OnnxValue> total;
  for (int k = 0; k < node.input_size(); ++k) {
    const OnnxValue* const given = operand(node, k);
    if (given == nullptr || given->constant) continue;
    const OnnxValue x = activation(node, k);
    total = total ? sum_of(node, *total, x) : x;
  }
  if (!total) throw NotSupported{"it has no operands"};
  for (int k = 0; k < node.input_size(); ++k) {
    const OnnxValue* const given = operand(node, k);
    if (given != nullptr && given->constant)
      total = with_constant(node, "Add", *total, OnnxConstant(*given->constant), false);
  }
  if (node.op_type() == "Mean" && node.input_size() > 1) {
    if (total->by_place) throw NotSupported{"its constant operand differs from place to place"};
    total = scaled(node, *total, 1 / static_cast<float>(node.input_size()));
  }
  return *total;
}

OnnxValue OnnxBuilder::negative(const onnx::NodeProto& node) {
  return scaled(node, activation(node, 0), -1);
}

/// As many times the mean as there are values.
OnnxValue OnnxBuilder::reduce_sum(const onnx::NodeProto& node) {
  const OnnxValue x = viewed(node, 0);
  const std::int64_t before = x.by_place ? 0 : shape(x).size();
  const OnnxValue mean = reduce_mean(node);
  if (before == 0) throw NotSupported{"follows a constant that differs from place to place"};
  return scaled(node, mean, static_cast<float>(before / shape(mean).size()));
}

OnnxValue OnnxBuilder::rectified(const onnx::NodeProto& node, const OnnxValue& x) {
  return emit_like(start(FloatKind::relu, node, x), x);
}

/// min(max(x, low), high) where it has a form: limits of zero from below, any positive one from above, in
/// either order.
OnnxValue OnnxBuilder::limited(const onnx::NodeProto& node, OnnxValue x, float low, float high) {
  if (x.upper) high = std::min(high, *x.upper);
  x.upper.reset();
  if (!(high > 0))
    throw NotSupported{"an upper limit of " + std::to_string(high) + ", a positive one is expected"};
  if (low < 0 && non_negative_[x.node] && x.node != 0) low = 0;  // nothing is below zero
  if (low == 0) {
    if (std::isinf(high)) return rectified(node, x);
    FloatNode clip = start(FloatKind::clip, node, x);
    clip.upper = high;
    return emit_like(std::move(clip), x);
  }
  if (std::isinf(low) && low < 0) {
    if (!std::isinf(high)) x.upper = high;
    return x;
  }
  throw NotSupported{"a lower limit of " + std::to_string(low) +
                     "; limits of zero from below are supported (Relu, Clip from 0)"};
}

OnnxValue OnnxBuilder::relu(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  if (x.upper) return limited(node, std::move(x), 0, INFINITY);
  return rectified(node, activation(node, 0, false, true));
}

/// Max and Min: with a constant a limit; of two activations max(a, b) = b + Relu(a − b).
OnnxValue OnnxBuilder::extreme(const onnx::NodeProto& node) {
  const bool maximum = node.op_type() == "Max";
  if (node.input_size() == 1) return viewed(node, 0);
  if (node.input_size() > 2) {
    OnnxValue best = activation(node, 0);
    for (int k = 1; k < node.input_size(); ++k)
      best = larger_or_smaller(node, maximum, best, activation(node, k));
    return best;
  }
  if (node.input_size() != 2) throw NotSupported{"it has no operands"};
  for (const int k : {0, 1}) {
    const OnnxValue* other = operand(node, k);
    if (other == nullptr || !other->constant) continue;
    if (other->constant->size() != 1) throw NotSupported{"its limit is not one number"};
    const float limit = other->constant->values.front();
    OnnxValue x = viewed(node, 1 - k);
    if (!x.upper) x = activation(node, 1 - k, false, true);
    return limited(node, std::move(x), maximum ? limit : -INFINITY, maximum ? INFINITY : limit);
  }
  return larger_or_smaller(node, maximum, activation(node, 0), activation(node, 1));
}

OnnxValue OnnxBuilder::larger_or_smaller(const onnx::NodeProto& node, bool maximum, const OnnxValue& a,
                                         const OnnxValue& b) {
  // min(a, b) = b − Relu(b − a)
  const OnnxValue difference =
      maximum ? sum_of(node, a, scaled(node, b, -1)) : sum_of(node, b, scaled(node, a, -1));
  const OnnxValue positive = rectified(node, difference);
  return sum_of(node, b, maximum ? positive : scaled(node, positive, -1));
}

OnnxValue OnnxBuilder::sign(const onnx::NodeProto& node) {
  const OnnxValue x = activation(node, 0);
  return emit_like(start(FloatKind::sign, node, x), x);
}

OnnxValue OnnxBuilder::clip(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  OnnxValue x = viewed(node, 0);
  if (!x.upper) x = activation(node, 0);
  float low = attributes.real("min", -INFINITY), high = attributes.real("max", INFINITY);
  for (const int k : {1, 2}) {
    const OnnxConstant* limit = optional_constant(node, k);
    if (limit == nullptr) continue;
    if (limit->size() != 1) throw NotSupported{"a limit is not one number"};
    (k == 1 ? low : high) = limit->values.front();
  }
  // The largest float stands for no limit in files of some exporters.
  if (low <= -3e38F) low = -INFINITY;
  if (high >= 3e38F) high = INFINITY;
  return limited(node, std::move(x), low, high);
}

OnnxValue OnnxBuilder::max_pool(const onnx::NodeProto& node) {
  const OnnxValue x = picture(node, 0, true);
  std::vector<bool> rectified(graph_.nodes.size(), false);  // surely; the input may be shifted
  for (std::size_t k = 1; k < rectified.size(); ++k) {
    const FloatNode& made = graph_.nodes[k];
    rectified[k] = non_negative_[k] && (made.kind == FloatKind::relu || made.kind == FloatKind::clip ||
                                        std::all_of(made.inputs.begin(), made.inputs.end(),
                                                    [&](std::size_t from) { return rectified[from]; }));
  }
  if (x.padded() && !x.lowest_padding && !rectified[x.node]) {
    throw NotSupported{
        "follows a Pad with zeros of values that can be negative, so that zeros take part in the maximum: "
        "give "
        "the MaxPool the padding (pads), or put a Relu before the Pad, and fine-tune"};
  }
  if (node.output_size() > 1 && !node.output(1).empty()) throw NotSupported{"its second output"};
  const std::vector<std::int64_t> kernel = pair(OnnxAttributes(node), "kernel_shape");
  FloatNode pool = start(FloatKind::max_pool2d, node, x);
  pool.window = window(node, x, kernel[0], kernel[1]);
  round_up(node, x, pool.window);
  const models::Shape result = window_output(shape(x), pool.window, shape(x).channels, pool.name);
  return emit(std::move(pool), result);
}

OnnxValue OnnxBuilder::average_pool(const onnx::NodeProto& node) {
  const OnnxValue x = picture(node, 0, true);
  if (x.padded() && x.lowest_padding)
    throw NotSupported{"follows a Pad with the lowest number, which only a MaxPool may"};
  const OnnxAttributes attributes(node);
  const std::vector<std::int64_t> kernel = pair(attributes, "kernel_shape");
  FloatNode pool = start(FloatKind::average_pool2d, node, x);
  pool.window = window(node, x, kernel[0], kernel[1]);
  const models::Window& w = pool.window;
  const bool own_padding =
      w.pad_top + w.pad_bottom + w.pad_left + w.pad_right >
      x.padding.pad_top + x.padding.pad_bottom + x.padding.pad_left + x.padding.pad_right;
  if (w.dilation_height != 1 || w.dilation_width != 1) throw NotSupported{"dilations"};
  const bool excludes = own_padding && attributes.integer("count_include_pad", 0) == 0;
  models::Window grown = w;
  round_up(node, x, grown);
  if (!excludes && grown == w) {
    const models::Shape result = window_output(shape(x), pool.window, shape(x).channels, pool.name);
    return emit(std::move(pool), result);
  }
  models::Window seen = x.padding;  // what counts beside the pixels
  if (!excludes) seen = w;
  pool.window = grown;
  return average_by_place(node, x, std::move(pool), seen);
}

/// An average whose divisor differs from place to place: as if all were alike, then corrected.
OnnxValue OnnxBuilder::average_by_place(const onnx::NodeProto& node, const OnnxValue& x, FloatNode pool,
                                        const models::Window& seen) {
  const models::Window w = pool.window;
  const models::Shape from = shape(x);
  const models::Shape result = window_output(from, w, from.channels, pool.name);
  const auto counted = [](std::int64_t out, std::int64_t stride, std::int64_t kernel, std::int64_t pad,
                          std::int64_t size, std::int64_t before, std::int64_t after) {
    const std::int64_t first = out * stride - pad;
    return std::min(first + kernel, size + after) - std::max(first, -before);
  };
  std::vector<float> gamma;
  for (std::int64_t c = 0; c < result.channels; ++c) {
    for (std::int64_t r = 0; r < result.height; ++r) {
      const std::int64_t rows =
          counted(r, w.stride_height, w.kernel_height, w.pad_top, from.height, seen.pad_top, seen.pad_bottom);
      for (std::int64_t q = 0; q < result.width; ++q) {
        const std::int64_t columns =
            counted(q, w.stride_width, w.kernel_width, w.pad_left, from.width, seen.pad_left, seen.pad_right);
        if (rows < 1 || columns < 1) throw NotSupported{"a window lies wholly in the padding"};
        gamma.push_back(static_cast<float>(w.kernel_height * w.kernel_width) /
                        static_cast<float>(rows * columns));
      }
    }
  }
  std::vector<float> beta(gamma.size(), 0);
  const OnnxValue sums = emit(std::move(pool), result);
  return scaled_by_place(node, sums, std::move(gamma), std::move(beta));
}

OnnxValue OnnxBuilder::pool_over(const onnx::NodeProto& node, const OnnxValue& x, FloatKind kind, bool height,
                                 bool width) {
  FloatNode pool = start(kind, node, x);
  const models::Shape& from = shape(x);
  pool.window.kernel_height = height ? from.height : 1;
  pool.window.kernel_width = width ? from.width : 1;
  const models::Shape result{from.channels, height ? 1 : from.height, width ? 1 : from.width};
  return emit(std::move(pool), result);
}

OnnxValue OnnxBuilder::global_average_pool(const onnx::NodeProto& node) {
  const OnnxValue x = viewed(node, 0);
  if (x.by_place) return mean_by_place(node, activation(node, 0, false, true));
  return pool_over(node, picture(node, 0), FloatKind::average_pool2d, true, true);
}

OnnxValue OnnxBuilder::global_max_pool(const onnx::NodeProto& node) {
  return pool_over(node, picture(node, 0), FloatKind::max_pool2d, true, true);
}

/// ReduceMean and ReduceMax over height, width or both, or over both as one axis.
OnnxValue OnnxBuilder::reduce_mean(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  OnnxValue x = viewed(node, 0);
  const bool planes = is_plane_view(x.dims, shape(x)) && !x.channels_last && x.end == OnnxValue::End::none &&
                      !x.upper && !x.padded();
  const bool by_place = x.by_place && node.op_type() == "ReduceMean";
  if (!planes || by_place) x = activation(node, 0, false, by_place);
  const FloatKind kind = node.op_type() == "ReduceMax" ? FloatKind::max_pool2d : FloatKind::average_pool2d;
  const auto rank = static_cast<std::int64_t>(x.dims.size());
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> axes = given != nullptr ? given->integers : attributes.integers("axes", {});
  for (std::int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  const bool keep = attributes.integer("keepdims", 1) != 0;
  bool height = false, width = false;
  const models::Shape from = by_place ? models::Shape{x.dims[1], x.dims[2], x.dims[3]} : shape(x);
  const std::int64_t plane_axis = x.channels_last ? 1 : 2;
  for (const std::int64_t axis : axes) {
    const std::int64_t size = axis < rank && axis >= 0 ? x.dims[static_cast<std::size_t>(axis)] : 0;
    if (rank == 4 && axis == plane_axis) {
      height = true;
    } else if (rank == 4 && axis == plane_axis + 1) {
      width = true;
    } else if (rank == 3 && axis == plane_axis && size == from.height * from.width && !x.flattened_from) {
      height = width = true;
    } else if (size != 1 || axis == 0) {
      throw NotSupported{"supported over height and width only"};
    }
  }
  if (axes.empty()) throw NotSupported{"supported over height and width only"};
  std::vector<std::int64_t> dims;
  for (std::int64_t axis = 0; axis < rank; ++axis) {
    if (!std::binary_search(axes.begin(), axes.end(), axis)) {
      dims.push_back(x.dims[static_cast<std::size_t>(axis)]);
    } else if (keep) {
      dims.push_back(1);
    }
  }
  if (by_place && !(height && width)) {
    throw NotSupported{
        "follows a constant or divisor that differs from place to place, of which the mean over height and "
        "width "
        "at once is supported only"};
  }
  OnnxValue result = by_place ? mean_by_place(node, x) : pool_over(node, x, kind, height, width);
  result.dims = std::move(dims);
  result.channels_last = x.channels_last;
  if (is_flat(result.dims)) result.channels_last = false;
  return result;
}

OnnxValue OnnxBuilder::concat(const onnx::NodeProto& node) {
  if (node.input_size() == 2) {  // the probabilities of two classes
    const OnnxValue a = viewed(node, 0), b = viewed(node, 1);
    if (a.end == OnnxValue::End::sigmoid_complement && b.end == OnnxValue::End::sigmoid && a.node == b.node)
      return b;
  }
  if (node.input_size() == 1) return activation(node, 0);
  const OnnxValue first = activation(node, 0);
  const std::int64_t rank = static_cast<std::int64_t>(first.dims.size());
  const std::int64_t axis =
      OnnxAttributes(node).integer("axis", 1) + (OnnxAttributes(node).integer("axis", 1) < 0 ? rank : 0);
  if (axis != (first.channels_last ? rank - 1 : 1)) throw NotSupported{"supported along the channels only"};
  FloatNode join = start(FloatKind::concat, node, first);
  models::Shape sum = shape(first);
  OnnxValue result = first;
  for (int k = 1; k < node.input_size(); ++k) {
    const OnnxValue x = activation(node, k);
    if (x.dims.size() != first.dims.size() || x.channels_last != first.channels_last || x.flattened_from ||
        first.flattened_from || shape(x).height != sum.height || shape(x).width != sum.width) {
      throw NotSupported{"its operands have different shapes or layouts"};
    }
    join.inputs.push_back(x.node);
    sum.channels += shape(x).channels;
  }
  result.dims[static_cast<std::size_t>(axis)] = sum.channels;
  const OnnxValue emitted = emit(std::move(join), sum);
  result.node = emitted.node;
  return result;
}

}  // namespace popcorn::compress
