#include "compress/onnx/onnx_qdq.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "compress/onnx/onnx_builder.h"

namespace popcorn::compress {

namespace {

template <typename T>
std::pair<std::int64_t, std::int64_t> range_of() {
  return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
}

std::pair<std::int64_t, std::int64_t> range_of_type(std::int32_t type) {
  switch (type) {
    case onnx::TensorProto::INT8:
      return range_of<std::int8_t>();
    case onnx::TensorProto::UINT8:
      return range_of<std::uint8_t>();
    case onnx::TensorProto::INT16:
      return range_of<std::int16_t>();
    case onnx::TensorProto::UINT16:
      return range_of<std::uint16_t>();
    case onnx::TensorProto::INT32:
      return range_of<std::int32_t>();
    default:
      throw NotSupported{"quantises to data type " + std::to_string(type) +
                         " (int8, uint8, int16, uint16 and, for biases, int32 are supported)"};
  }
}

/// Calls apply(element, index of its scale) for every element.
template <typename Apply>
void for_each_scale(const OnnxConstant& x, const OnnxQuantisation& quantisation, const Apply& apply) {
  const std::size_t scales = quantisation.scales.size();
  std::size_t inner = 1;
  if (scales > 1) {
    for (std::size_t k = static_cast<std::size_t>(quantisation.axis) + 1; k < x.dims.size(); ++k)
      inner *= static_cast<std::size_t>(x.dims[k]);
  }
  for (std::size_t i = 0; i < x.values.size(); ++i) apply(i, scales == 1 ? 0 : i / inner % scales);
}

}  // namespace

bool OnnxQuantisation::cuts_negatives() const {
  return std::all_of(zero_points.begin(), zero_points.end(), [&](std::int64_t z) { return z == low; });
}

OnnxQuantisation read_quantisation(const onnx::NodeProto& node, const std::vector<std::int64_t>& dims,
                                   const OnnxConstant& scale, const OnnxConstant* zero_point,
                                   std::int32_t type) {
  const OnnxAttributes attributes(node);
  OnnxQuantisation result;
  if (attributes.integer("block_size", 0) != 0) throw NotSupported{"scales per block (block_size)"};
  const auto given = static_cast<std::int32_t>(attributes.integer("output_dtype", 0));
  result.type = type != 0               ? type
                : zero_point != nullptr ? zero_point->type
                : given != 0            ? given
                                        : std::int32_t{onnx::TensorProto::UINT8};
  std::tie(result.low, result.high) = range_of_type(result.type);

  if (scale.dims.size() > 1 || scale.size() < 1)
    throw NotSupported{"its scale is neither one number nor a vector"};
  result.scales = scale.values;
  if (scale.size() > 1) {
    const auto rank = static_cast<std::int64_t>(dims.size());
    const std::int64_t axis = attributes.integer("axis", 1);
    result.axis = axis + (axis < 0 ? rank : 0);
    if (result.axis < 0 || result.axis >= rank)
      throw NotSupported{"its axis " + std::to_string(axis) + " is out of range"};
    const std::int64_t size = dims[static_cast<std::size_t>(result.axis)];
    if (scale.size() != size) {
      throw NotSupported{"has " + std::to_string(scale.size()) + " scales for axis " + std::to_string(axis) +
                         " of size " + std::to_string(size)};
    }
  }
  for (const float s : result.scales) {
    if (!(s > 0) || !std::isfinite(s)) throw NotSupported{"a scale is not a positive number"};
  }
  result.zero_points.assign(result.scales.size(), 0);
  if (zero_point != nullptr) {
    if (zero_point->type != result.type)
      throw NotSupported{"its zero point has another type than its quantised values"};
    if (zero_point->dims.size() > 1 || zero_point->size() != scale.size())
      throw NotSupported{"has " + std::to_string(zero_point->size()) + " zero points for " +
                         std::to_string(scale.size()) + " scales"};
    result.zero_points = zero_point->integers;
  }
  return result;
}

OnnxConstant quantised(const OnnxConstant& x, const OnnxQuantisation& quantisation) {
  OnnxConstant result;
  result.dims = x.dims;
  result.type = quantisation.type;
  result.integers.resize(x.values.size());
  for_each_scale(x, quantisation, [&](std::size_t i, std::size_t k) {
    const auto low = static_cast<float>(quantisation.low), high = static_cast<float>(quantisation.high);
    const float q = std::nearbyint(x.values[i] / quantisation.scales[k]) +
                    static_cast<float>(quantisation.zero_points[k]);
    if (std::isnan(q)) throw NotSupported{"quantises a value that is not a number"};
    // The comparison in float32 rounds the ends of int32 up; they saturate all the same.
    result.integers[i] = q <= low    ? quantisation.low
                         : q >= high ? quantisation.high
                                     : static_cast<std::int64_t>(q);
  });
  result.values.assign(result.integers.begin(), result.integers.end());
  return result;
}

OnnxConstant dequantised(const OnnxConstant& x, const OnnxQuantisation& quantisation) {
  OnnxConstant result;
  result.dims = x.dims;
  result.type = onnx::TensorProto::FLOAT;
  result.values.resize(x.values.size());
  for_each_scale(x, quantisation, [&](std::size_t i, std::size_t k) {
    if (x.integers[i] < quantisation.low || x.integers[i] > quantisation.high)
      throw NotSupported{"a quantised value is out of range"};
    result.values[i] =
        static_cast<float>(x.integers[i] - quantisation.zero_points[k]) * quantisation.scales[k];
  });
  return result;
}

OnnxValue OnnxBuilder::quantize_linear(const onnx::NodeProto& node) {
  OnnxValue x = activation(node, 0, true);
  x.quantised = read_quantisation(node, x.dims, constant(node, 1), optional_constant(node, 2), 0);
  return x;
}

OnnxValue OnnxBuilder::dequantize_linear(const onnx::NodeProto& node) {
  const OnnxValue* operand_value = operand(node, 0);
  if (operand_value == nullptr) throw NotSupported{"operand 0 is missing"};
  OnnxValue x = *operand_value;
  if (!x.quantised) throw NotSupported{"reads an activation that no QuantizeLinear made"};
  const OnnxQuantisation own =
      read_quantisation(node, x.dims, constant(node, 1), optional_constant(node, 2), x.quantised->type);
  if (!(own == *x.quantised))
    throw NotSupported{"its scale, zero point or axis differ from those of the QuantizeLinear before it"};
  x.quantised.reset();
  if (!own.cuts_negatives()) return x;
  const bool keep_upper = keep_saturation_ && own.scales.size() == 1;
  if (non_negative_[x.node] && !keep_upper) return x;
  FloatNode cut = start(keep_upper ? FloatKind::clip : FloatKind::relu, node, x);
  if (keep_upper) cut.upper = static_cast<float>(own.high - own.low) * own.scales.front();
  OnnxValue result = emit_like(std::move(cut), x);
  result.padding = x.padding;
  return result;
}

}  // namespace popcorn::compress
