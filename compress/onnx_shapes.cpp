// The operators of an ONNX graph that move values without computing: shapes, layouts, padding, slices.
#include <algorithm>

#include "compress/onnx_builder.h"

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
  OnnxValue x = activation(node, 0);
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
  OnnxValue x = activation(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  const std::vector<std::int64_t> target =
      given != nullptr ? given->integers : OnnxAttributes(node).integers("shape", {});
  if (target.empty()) throw NotSupported{"its target shape is missing"};
  std::vector<std::int64_t> dims =
      reshape_target(x.dims, target, OnnxAttributes(node).integer("allowzero", 0) != 0);
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::squeeze(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> dims =
      squeezed(x.dims, given != nullptr ? given->integers : OnnxAttributes(node).integers("axes", {}));
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::unsqueeze(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  const OnnxConstant* given = optional_constant(node, 1);
  std::vector<std::int64_t> dims =
      unsqueezed(x.dims, given != nullptr ? given->integers : OnnxAttributes(node).integers("axes", {}));
  return relabel(node, std::move(x), std::move(dims));
}

OnnxValue OnnxBuilder::transpose(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  const std::vector<std::int64_t> order = OnnxAttributes(node).integers("perm", {});
  const std::vector<std::int64_t> to_first{0, 3, 1, 2}, to_last{0, 2, 3, 1};
  if (x.dims.size() == 4 && order == to_first && x.channels_last) {
    x.channels_last = false;
    x.dims = {x.dims[0], x.dims[3], x.dims[1], x.dims[2]};
  } else if (x.dims.size() == 4 && order == to_last && !x.channels_last) {
    x.channels_last = true;
    x.dims = {x.dims[0], x.dims[2], x.dims[3], x.dims[1]};
  } else {
    throw NotSupported{"supported between N×C×H×W and N×H×W×C only"};
  }
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
  if (attributes.text("mode", "constant") != "constant")
    throw NotSupported{"mode \"" + attributes.text("mode", "") + "\""};
  const OnnxConstant* value = optional_constant(node, 2);
  const float fill =
      value != nullptr && value->size() == 1 ? value->values.front() : attributes.real("value", 0);
  if (fill != 0) throw NotSupported{"a padding other than zero"};
  if (const OnnxConstant* axes = optional_constant(node, 3)) pads = pads_of_all_axes(pads, axes->integers);
  if (pads.size() != 8 || pads[0] != 0 || pads[4] != 0) throw NotSupported{"its list of pads"};
  if (std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p < 0 || p > kMaxOnnxWindow; })) {
    throw NotSupported{"a padding is negative or too large"};
  }
  if (pads[1] != 0 || pads[5] != 0) {
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

/// Every s-th pixel from the first: a 1×1 convolution of each channel alone with stride s.
OnnxValue OnnxBuilder::slice(const onnx::NodeProto& node) {
  const OnnxAttributes attributes(node);
  const OnnxValue x = picture(node, 0);
  const auto list = [&](int k, const char* name, std::vector<std::int64_t> otherwise) {
    const OnnxConstant* given = optional_constant(node, k);
    return given != nullptr ? given->integers : attributes.integers(name, std::move(otherwise));
  };
  const std::vector<std::int64_t> starts = list(1, "starts", {}), ends = list(2, "ends", {});
  std::vector<std::int64_t> axes = list(3, "axes", {});
  for (std::size_t k = axes.size(); axes.size() < starts.size(); ++k)
    axes.push_back(static_cast<std::int64_t>(k));
  const std::vector<std::int64_t> steps = list(4, "steps", std::vector<std::int64_t>(starts.size(), 1));
  if (starts.size() != ends.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    throw NotSupported{"its lists have different lengths"};
  }
  FloatNode conv = start(FloatKind::conv2d, node, x);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const std::int64_t axis = axes[k] + (axes[k] < 0 ? 4 : 0);
    const bool space = axis == 2 || axis == 3;
    if (axis < 0 || axis > 3 || starts[k] != 0 || ends[k] < x.dims[static_cast<std::size_t>(axis)] ||
        (!space && steps[k] != 1)) {
      throw NotSupported{"supported as every s-th pixel of whole channels only"};
    }
    if (axis == 2) conv.window.stride_height = positive_extent(steps[k], "a step");
    if (axis == 3) conv.window.stride_width = positive_extent(steps[k], "a step");
  }
  conv.groups = shape(x).channels;
  conv.weights.assign(static_cast<std::size_t>(conv.groups), 1);
  conv.bias.assign(static_cast<std::size_t>(conv.groups), 0);
  const models::Shape result = window_output(shape(x), conv.window, shape(x).channels, conv.name);
  return emit(std::move(conv), result);
}

OnnxValue OnnxBuilder::identity(const onnx::NodeProto& node) {
  return activation(node, 0, true);
}

OnnxValue OnnxBuilder::softmax(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0);
  if (shape(x).size() != shape(x).channels) throw NotSupported{"supported on a vector only"};
  x.softmax = true;
  return x;
}

}  // namespace popcorn::compress
