// The operators of an ONNX graph that move values without computing: shapes, layouts, padding, slices.
#include <algorithm>
#include <cmath>

#include "compress/onnx/onnx_builder.h"

namespace popcorn::compress {

namespace {

/// Pads of the given axes of a tensor of rank 4, with zeros for the others.
std::vector<std::int64_t> pads_of_all_axes(const std::vector<std::int64_t>& pads,
                                           const std::vector<std::int64_t>& axes) {
  std::vector<std::int64_t> result(8, 0);
  if (pads.size() != 2 * axes.size()) throw NotSupported{"its lists of pads and axes do not fit"};
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const std::int64_t axis = axes[k] + (axes[k] < 0 ? 4 : 0);
    if (axis < 0 || axis > 3) throw NotSupported{"an axis is out of range"};
    result[static_cast<std::size_t>(axis)] = pads[k];
    result[static_cast<std::size_t>(axis) + 4] = pads[k + axes.size()];
  }
  return result;
}

}  // namespace

OnnxValue OnnxBuilder::flatten(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  const std::int64_t rank = static_cast<std::int64_t>(x.dims.size());
  std::int64_t axis = OnnxAttributes(node).integer("axis", 1);
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis > rank || element_count({x.dims.begin(), x.dims.begin() + axis}) != 1) {
    throw NotSupported{"supported after the batch axis only"};
  }
  const std::int64_t size = shape(x).size();
  return relabel(node, std::move(x), {1, size});
}

OnnxValue OnnxBuilder::reshape(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  const std::vector<std::int64_t> target =
      given != nullptr ? given->integers : OnnxAttributes(node).integers("shape", {});
  if (target.empty()) throw NotSupported{"its target shape is missing"};
  std::vector<std::int64_t> dims =
      reshape_target(x.dims, target, OnnxAttributes(node).integer("allowzero", 0) != 0);
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::squeeze(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> dims =
      squeezed(x.dims, given != nullptr ? given->integers : OnnxAttributes(node).integers("axes", {}));
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::unsqueeze(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> dims =
      unsqueezed(x.dims, given != nullptr ? given->integers : OnnxAttributes(node).integers("axes", {}));
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::transpose(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  if (x.padded()) throw NotSupported{"follows a Pad, which only a convolution or pool may"};
  if (x.by_place)
    throw NotSupported{
        "follows a constant or divisor that differs from place to place, which only a flatten may"};
  std::vector<std::int64_t> order = OnnxAttributes(node).integers("perm", {});
  const std::size_t rank = x.dims.size();
  if (order.empty()) {
    for (std::size_t k = rank; k-- > 0;) order.push_back(static_cast<std::int64_t>(k));
  }
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted.size() != rank || sorted[k] != static_cast<std::int64_t>(k))
      throw NotSupported{"its order of axes is invalid"};
  }
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> moved;  // axes larger than one, in their new order
  for (const std::int64_t axis : order) {
    dims.push_back(x.dims[static_cast<std::size_t>(axis)]);
    if (dims.back() != 1) moved.push_back(axis);
  }
  const std::vector<std::int64_t> to_first{0, 3, 1, 2}, to_last{0, 2, 3, 1};
  if (rank == 4 && order == to_first && x.channels_last) {
    x.channels_last = false;
  } else if (rank == 4 && order == to_last && !x.channels_last && !x.flattened_from) {
    x.channels_last = true;
  } else if (std::is_sorted(moved.begin(), moved.end())) {
    return relabel(node, std::move(x), std::move(dims));  // only axes of one element move
  } else {
    throw NotSupported{"supported between N×C×H×W and N×H×W×C only"};
  }
  x.dims = std::move(dims);
  return x;
}

OnnxValue OnnxBuilder::spread_channels(const onnx::NodeProto& node, const OnnxValue& x, std::int64_t before,
                                       std::int64_t after) {
  const std::int64_t channels = shape(x).channels;
  if (before > kMaxOnnxWindow || after > kMaxOnnxWindow ||
      (channels + before + after) > (std::int64_t{1} << 26) / channels) {
    throw NotSupported{"it adds too many channels"};
  }
  FloatNode conv = start(FloatKind::conv2d, node, x);
  const std::int64_t outputs = channels + before + after;
  conv.weights.assign(static_cast<std::size_t>(outputs * channels), 0);
  conv.bias.assign(static_cast<std::size_t>(outputs), 0);
  for (std::int64_t c = 0; c < channels; ++c)
    conv.weights[static_cast<std::size_t>((before + c) * channels + c)] = 1;
  const models::Shape result{outputs, shape(x).height, shape(x).width};
  return emit(std::move(conv), result);
}

OnnxValue OnnxBuilder::pad(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  OnnxValue x = picture(node, 0, true);
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> pads = given != nullptr ? given->integers : attributes.integers("pads", {});
  if (attributes.text("mode", "constant") != "constant") {
    throw NotSupported{
        "pads with mode \"" + attributes.text("mode", "") +
        "\", which has no form on ciphertexts: pad with zeros (mode \"constant\") and fine-tune, or pad the "
        "pictures before they are given to the network"};
  }
  const OnnxConstant* value = optional_constant(node, 2);
  const float fill =
      value != nullptr && value->size() == 1 ? value->values.front() : attributes.real("value", 0);
  const bool lowest = fill <= -3e38F || (std::isinf(fill) && fill < 0);
  if (x.padded() && lowest != x.lowest_padding) throw NotSupported{"follows a Pad with another value"};
  x.lowest_padding = lowest;
  if (fill != 0 && !lowest)
    throw NotSupported{"pads with " + std::to_string(fill) +
                       ", only zeros are supported: shift the values so that zero is the padding"};
  if (const OnnxConstant* axes = optional_constant(node, 3)) pads = pads_of_all_axes(pads, axes->integers);
  if (pads.size() != 8 || pads[0] != 0 || pads[4] != 0) throw NotSupported{"its list of pads"};
  if (std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p < 0 || p > kMaxOnnxWindow; })) {
    throw NotSupported{"a padding is negative or too large"};
  }
  if (pads[1] != 0 || pads[5] != 0) {
    if (lowest) throw NotSupported{"pads channels with the lowest number"};
    if (x.padded()) throw NotSupported{"follows another Pad"};
    x = spread_channels(node, x, pads[1], pads[5]);
  }
  x.padding.pad_top += pads[2];
  x.padding.pad_left += pads[3];
  x.padding.pad_bottom += pads[6];
  x.padding.pad_right += pads[7];
  const models::Shape& inner = shape(x);
  x.dims = {1, inner.channels, inner.height + x.padding.pad_top + x.padding.pad_bottom,
            inner.width + x.padding.pad_left + x.padding.pad_right};
  return x;
}

OnnxValue OnnxBuilder::choose_channels(const onnx::NodeProto& node, const OnnxValue& x,
                                       const std::vector<std::int64_t>& channels) {
  const std::int64_t inputs = shape(x).channels;
  const auto outputs = static_cast<std::int64_t>(channels.size());
  if (outputs > kMaxOnnxWindow || outputs > (std::int64_t{1} << 26) / inputs)
    throw NotSupported{"it chooses too many channels"};
  const bool vector = shape(x).size() == inputs;
  FloatNode choice = start(vector ? FloatKind::dense : FloatKind::conv2d, node, x);
  choice.weights.assign(static_cast<std::size_t>(outputs * inputs), 0);
  choice.bias.assign(static_cast<std::size_t>(outputs), 0);
  for (std::int64_t o = 0; o < outputs; ++o) {
    std::int64_t c = channels[static_cast<std::size_t>(o)];
    c += c < 0 ? inputs : 0;
    if (c < 0 || c >= inputs) throw NotSupported{"a channel is out of range"};
    choice.weights[static_cast<std::size_t>(o * inputs + c)] = 1;
  }
  const models::Shape result{outputs, shape(x).height, shape(x).width};
  return emit(std::move(choice), result);
}

/// Channels in another order or fewer of them, as for BGR.
OnnxValue OnnxBuilder::gather(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  const OnnxConstant& indices = constant(node, 1);
  const std::int64_t given = OnnxAttributes(node).integer("axis", 0);
  const auto rank = static_cast<std::int64_t>(x.dims.size());
  const std::int64_t axis = given + (given < 0 ? rank : 0);
  const std::int64_t channel_axis = x.channels_last ? rank - 1 : 1;
  const bool one = indices.dims.empty() && x.dims.size() == 4;  // x[:, k]: the axis goes
  if (axis != channel_axis || (indices.dims.size() != 1 && !one) || !indices.is_integer() || x.flattened_from)
    throw NotSupported{"supported as a choice of channels only"};
  std::vector<std::int64_t> dims = x.dims;
  dims[static_cast<std::size_t>(axis)] = indices.size();
  if (one) dims.erase(dims.begin() + axis);
  OnnxValue result = choose_channels(node, x, indices.integers);
  result.dims = std::move(dims);
  result.channels_last = x.channels_last && !one;
  return result;
}

/// Some channels, and every s-th row and column of a range: convolutions with one weight each.
OnnxValue OnnxBuilder::slice(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  OnnxValue x = activation(node, 0);
  const auto list = [&](int k, const char* name) -> std::optional<std::vector<std::int64_t>> {
    if (const OnnxConstant* given = optional_constant(node, k)) return given->integers;
    if (attributes.has(name)) return attributes.integers(name, {});
    return std::nullopt;
  };
  const OnnxSlice cuts =
      read_slice(x.dims, list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps"));
  if (x.flattened_from || (x.dims.size() != 4 && shape(x).size() != shape(x).channels))
    throw NotSupported{"supported on pictures and vectors only"};
  const bool vector = x.dims.size() != 4;
  const std::size_t channel_axis = x.channels_last ? 3 : 1;
  const std::size_t row_axis = x.channels_last ? 1 : 2;
  const bool last = x.channels_last;
  std::vector<std::int64_t> dims = x.dims;
  bool cuts_space = false;
  for (const OnnxSlice::Axis& cut : cuts.axes) {
    const std::int64_t size = x.dims[cut.axis];
    dims[cut.axis] = cut.count;
    if (cut.start == 0 && cut.count == size) continue;
    if (cut.step < 0 && !vector && cut.axis != channel_axis)
      throw NotSupported{"a step of " + std::to_string(cut.step) +
                         " over height or width: flip the pictures instead"};
    if (vector ? size == 1 : cut.axis == 0) throw NotSupported{"it cuts the batch"};
    if (vector || cut.axis == channel_axis) {
      std::vector<std::int64_t> channels;
      for (std::int64_t k = 0; k < cut.count; ++k) channels.push_back(cut.start + k * cut.step);
      x = choose_channels(node, x, channels);
      x.channels_last = last;
      continue;
    }
    cuts_space = true;
  }
  if (!cuts_space) {
    x.dims = std::move(dims);
    return x;
  }
  // A kernel with a single one at the start, so large that exactly the wanted places are left.
  FloatNode conv = start(FloatKind::conv2d, node, x);
  models::Window& w = conv.window;
  std::int64_t row = 0, column = 0;
  for (const OnnxSlice::Axis& cut : cuts.axes) {
    if (cut.axis == 0 || cut.axis == channel_axis) continue;
    const bool vertical = cut.axis == row_axis;
    const std::int64_t size = vertical ? shape(x).height : shape(x).width;
    (vertical ? w.kernel_height : w.kernel_width) =
        positive_extent(size - (cut.count - 1) * cut.step, "a cut");
    (vertical ? w.stride_height : w.stride_width) = positive_extent(cut.step, "a step");
    (vertical ? row : column) = cut.start;
  }
  conv.groups = shape(x).channels;
  const std::int64_t plane = w.kernel_height * w.kernel_width;
  if (plane > (std::int64_t{1} << 26) / conv.groups) throw NotSupported{"it cuts too much away at once"};
  conv.weights.assign(static_cast<std::size_t>(conv.groups * plane), 0);
  for (std::int64_t c = 0; c < conv.groups; ++c)
    conv.weights[static_cast<std::size_t>(c * plane + row * w.kernel_width + column)] = 1;
  conv.bias.assign(static_cast<std::size_t>(conv.groups), 0);
  const models::Shape result = window_output(shape(x), conv.window, shape(x).channels, conv.name);
  OnnxValue value = emit(std::move(conv), result);
  value.dims = std::move(dims);
  value.channels_last = last;
  return value;
}

OnnxValue OnnxBuilder::identity(const onnx::NodeProto& node) {
  if (node.op_type() == "Dropout" && OnnxAttributes(node).has("training_mode"))
    throw NotSupported{"training_mode: export the network in evaluation mode (model.eval())"};
  const OnnxConstant* const trains = node.op_type() == "Dropout" ? optional_constant(node, 2) : nullptr;
  if (trains != nullptr &&
      std::any_of(trains->values.begin(), trains->values.end(), [](float v) { return v != 0; }))
    throw NotSupported{
        "it is in training mode, where it is random: export the network in evaluation mode (model.eval())"};
  return viewed(node, 0);
}

/// Between kinds of floats, and from whole numbers at the input, nothing happens: values are exact here.
OnnxValue OnnxBuilder::cast(const onnx::NodeProto& node) {
  const OnnxValue x = viewed(node, 0);
  const std::int64_t type = OnnxAttributes(node).integer("to", 0);
  if (is_float_type(type) || x.end == OnnxValue::End::arg_max) return x;
  if (x.node == 0) return x;  // pixels are whole numbers
  throw NotSupported{"it rounds to whole numbers (type " + std::to_string(type) +
                     ") within the network; only Casts between floating-point types are taken over"};
}

OnnxValue OnnxBuilder::softmax(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  if (shape(x).size() != shape(x).channels) throw NotSupported{"supported on a vector only"};
  x.end = OnnxValue::End::softmax;
  return x;
}

/// Of probabilities at the end.
OnnxValue OnnxBuilder::log(const onnx::NodeProto& node) {
  const OnnxValue x = viewed(node, 0);
  if (x.end != OnnxValue::End::softmax) throw NotSupported{"supported after the last Softmax only"};
  return x;
}

/// scikit-learn's StandardScaler: (x - offset) * scale.
OnnxValue OnnxBuilder::scaler(const onnx::NodeProto& node) {
  const OnnxValue x = activation(node, 0);
  const auto channels = static_cast<std::size_t>(shape(x).channels);
  std::vector<float> offset = OnnxAttributes(node).reals("offset"),
                     scale = OnnxAttributes(node).reals("scale");
  if (offset.size() == 1) offset.resize(channels, offset.front());
  if (scale.size() == 1) scale.resize(channels, scale.front());
  if (x.flattened_from || shape(x).size() != shape(x).channels || offset.size() != channels ||
      scale.size() != channels)
    throw NotSupported{"supported on a vector with one offset and one scale for each value only"};
  FloatNode affine = start(FloatKind::affine, node, x);
  affine.gamma = scale;
  for (std::size_t k = 0; k < channels; ++k) affine.beta.push_back(-offset[k] * scale[k]);
  return emit_like(std::move(affine), x);
}

/// scikit-learn's linear models: the class, and scores that a Softmax or Sigmoids make probabilities.
OnnxValue OnnxBuilder::linear_classifier(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  const OnnxValue x = activation(node, 0);
  const auto features = static_cast<std::size_t>(shape(x).size());
  std::vector<float> weights = attributes.reals("coefficients"), bias = attributes.reals("intercepts");
  const std::size_t classes = weights.size() / features;
  bias.resize(bias.empty() ? classes : bias.size(), 0.0F);
  if (x.flattened_from || shape(x).size() != shape(x).channels || classes == 0 ||
      weights.size() != classes * features || bias.size() != classes)
    throw NotSupported{"its coefficients do not fit a vector of " + std::to_string(features)};
  const std::string post = attributes.text("post_transform", "NONE");
  OnnxValue::End end = OnnxValue::End::none;
  if (post == "SOFTMAX") end = OnnxValue::End::softmax;
  if (post == "LOGISTIC") end = OnnxValue::End::sigmoid;
  if (end == OnnxValue::End::none && post != "NONE")
    throw NotSupported{"the post_transform " + post + " is not supported: NONE, SOFTMAX and LOGISTIC are"};
  if (end == OnnxValue::End::sigmoid && classes == 2 && bias[0] == -bias[1] &&
      std::equal(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(features),
                 weights.begin() + static_cast<std::ptrdiff_t>(features),
                 [](float a, float b) { return a == -b; })) {
    // Sigmoids of −l and l are the softmax of −l/2 and l/2.
    for (float& weight : weights) weight /= 2;
    for (float& value : bias) value /= 2;
    end = OnnxValue::End::softmax;
  }
  OnnxValue scores = dense(node, x, std::move(weights), std::move(bias));
  scores.end = end;
  if (node.output_size() > 1 && !node.output(1).empty()) values_[node.output(1)] = scores;
  scores.end = OnnxValue::End::arg_max;
  return scores;
}

/// Probabilities made to sum to 1: the order stays.
OnnxValue OnnxBuilder::normaliser(const onnx::NodeProto& node) {
  const OnnxValue x = viewed(node, 0);
  if (x.end != OnnxValue::End::softmax && x.end != OnnxValue::End::sigmoid)
    throw NotSupported{"supported on probabilities at the end only"};
  return x;
}

OnnxValue OnnxBuilder::sigmoid(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  if (shape(x).size() != 1) {
    throw NotSupported{
        "supported at the end of a network with one output only (two classes); leave it out for several "
        "independent outputs, the largest of which is then the answer"};
  }
  x.end = OnnxValue::End::sigmoid;
  return x;
}

OnnxValue OnnxBuilder::arg_max(const onnx::NodeProto& node) {
  OnnxValue x = viewed(node, 0);
  if (shape(x).size() != shape(x).channels || x.padded() || x.upper)
    throw NotSupported{"supported on a vector only"};
  x.end = OnnxValue::End::arg_max;
  return x;
}

/// The names of classes beside their probabilities, as scikit-learn's exporter writes them.
OnnxValue OnnxBuilder::zip_map(const onnx::NodeProto& node) {
  return viewed(node, 0);
}

OnnxValue OnnxBuilder::dynamic_quantize(const onnx::NodeProto& /*node*/) {
  throw NotSupported{
      "the network was quantised dynamically: its activations get their scale while it runs, which cannot be "
      "done on ciphertexts; "
      "give the float network, or one that was quantised statically (QDQ)"};
}

}  // namespace popcorn::compress
