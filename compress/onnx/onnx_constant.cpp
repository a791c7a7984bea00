#include "compress/onnx/onnx_constant.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "compress/onnx/onnx_qdq.h"

namespace popcorn::compress {

namespace {

template <typename T>
std::vector<T> raw_values(const std::string& raw, std::int64_t count) {
  static_assert(std::endian::native == std::endian::little);  // raw_data is little-endian by definition
  if (raw.size() != static_cast<std::size_t>(count) * sizeof(T)) {
    throw NotSupported{"its tensor holds " + std::to_string(raw.size()) + " bytes, expected " +
                       std::to_string(static_cast<std::size_t>(count) * sizeof(T))};
  }
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0) std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

template <typename T, typename Field>
std::vector<T> typed_values(const onnx::TensorProto& tensor, const Field& field, std::int64_t count) {
  if (tensor.has_raw_data()) return raw_values<T>(tensor.raw_data(), count);
  if (field.size() != count) {
    throw NotSupported{"its tensor holds " + std::to_string(field.size()) + " values, expected " +
                       std::to_string(count)};
  }
  return {field.begin(), field.end()};
}

/// Small integers lie in int32_data, one a field, when they are not raw.
template <typename T>
std::vector<std::int64_t> small_integers(const onnx::TensorProto& tensor, std::int64_t count) {
  if (tensor.has_raw_data()) {
    const std::vector<T> values = raw_values<T>(tensor.raw_data(), count);
    return {values.begin(), values.end()};
  }
  const std::vector<std::int32_t> values = typed_values<std::int32_t>(tensor, tensor.int32_data(), count);
  for (const std::int32_t v : values) {
    if (!std::in_range<T>(v)) throw NotSupported{"its tensor holds " + std::to_string(v) + ", out of range"};
  }
  return {values.begin(), values.end()};
}

/// IEEE half precision, exactly.
float widened_half(std::uint16_t half) {
  const unsigned exponent = (half >> 10) & 31U;
  const unsigned fraction = half & 1023U;
  const float magnitude =
      exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
      : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                      : std::ldexp(static_cast<float>(fraction + 1024), static_cast<int>(exponent) - 25);
  return (half >> 15) != 0 ? -magnitude : magnitude;
}

/// bfloat16: the upper half of a float.
float widened_bfloat(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

/// Numbers of 16 bits: raw, or the bits of each in a field of int32_data.
std::vector<float> half_values(const onnx::TensorProto& tensor, std::int64_t count) {
  const std::vector<std::int64_t> bits = small_integers<std::uint16_t>(tensor, count);
  const bool brain = tensor.data_type() == onnx::TensorProto::BFLOAT16;
  std::vector<float> values;
  values.reserve(bits.size());
  for (const std::int64_t b : bits) {
    const auto half = static_cast<std::uint16_t>(b);
    values.push_back(brain ? widened_bfloat(half) : widened_half(half));
  }
  return values;
}

/// Bytes of one element of a type that is read; 0 for others.
std::size_t element_bytes(std::int32_t type) {
  switch (type) {
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::INT64:
      return 8;
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::INT32:
      return 4;
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
      return 2;
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::BOOL:
      return 1;
    default:
      return 0;
  }
}

void set_integers(OnnxConstant& constant, std::vector<std::int64_t> integers) {
  constant.integers = std::move(integers);
  constant.values.assign(constant.integers.begin(), constant.integers.end());
}

const OnnxConstant& required(const std::vector<const OnnxConstant*>& operands, std::size_t k) {
  if (k >= operands.size() || operands[k] == nullptr) throw NotSupported{"an operand is missing"};
  return *operands[k];
}

/// Copies elements chosen by `index` (a flat source index per flat target index).
OnnxConstant gather_elements(const OnnxConstant& from, std::vector<std::int64_t> dims,
                             const std::function<std::size_t(std::size_t)>& index) {
  OnnxConstant result;
  result.dims = std::move(dims);
  const auto count = static_cast<std::size_t>(element_count(result.dims));
  result.type = from.type;
  result.values.resize(count);
  if (!from.integers.empty()) result.integers.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = index(i);
    result.values[i] = from.values[k];
    if (!from.integers.empty()) result.integers[i] = from.integers[k];
  }
  return result;
}

OnnxConstant with_dims(const OnnxConstant& from, std::vector<std::int64_t> dims) {
  OnnxConstant result = from;
  result.dims = std::move(dims);
  return result;
}

OnnxConstant transpose(const OnnxConstant& x, std::vector<std::int64_t> order) {
  const std::size_t rank = x.dims.size();
  if (order.empty()) {
    order.resize(rank);
    std::iota(order.rbegin(), order.rend(), 0);
  }
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted.size() != rank || sorted[k] != static_cast<std::int64_t>(k))
      throw NotSupported{"its order of axes is invalid"};
  }
  std::vector<std::size_t> strides(rank, 1);
  for (std::size_t k = rank; k-- > 1;) strides[k - 1] = strides[k] * static_cast<std::size_t>(x.dims[k]);
  std::vector<std::int64_t> dims(rank);
  for (std::size_t k = 0; k < rank; ++k) dims[k] = x.dims[static_cast<std::size_t>(order[k])];
  return gather_elements(x, dims, [&](std::size_t flat) {
    std::size_t source = 0;
    for (std::size_t k = rank; k-- > 0;) {
      const auto size = static_cast<std::size_t>(dims[k]);
      source += (flat % size) * strides[static_cast<std::size_t>(order[k])];
      flat /= size;
    }
    return source;
  });
}

OnnxConstant gather(const OnnxConstant& x, const OnnxConstant& indices, std::int64_t axis) {
  const auto rank = static_cast<std::int64_t>(x.dims.size());
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank) throw NotSupported{"its axis is out of range"};
  if (!indices.is_integer()) throw NotSupported{"its indices are not integers"};
  const std::int64_t length = x.dims[static_cast<std::size_t>(axis)];
  const auto inner = static_cast<std::size_t>(element_count({x.dims.begin() + axis + 1, x.dims.end()}));
  std::vector<std::int64_t> dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  const std::size_t chosen = indices.integers.size();
  return gather_elements(x, std::move(dims), [&](std::size_t i) {
    const std::size_t within = i % inner;
    const std::int64_t index = indices.integers[i / inner % chosen];
    const std::int64_t k = index + (index < 0 ? length : 0);
    if (k < 0 || k >= length) throw NotSupported{"an index is out of range"};
    const std::size_t outer = i / inner / chosen;
    return (outer * static_cast<std::size_t>(length) + static_cast<std::size_t>(k)) * inner + within;
  });
}

OnnxConstant concatenate(const std::vector<const OnnxConstant*>& operands) {
  OnnxConstant result;
  bool integer = true;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const OnnxConstant& x = required(operands, k);
    if (x.dims.size() != 1) throw NotSupported{"Concat of constants is supported for vectors only"};
    integer = integer && x.is_integer();
    result.values.insert(result.values.end(), x.values.begin(), x.values.end());
    result.integers.insert(result.integers.end(), x.integers.begin(), x.integers.end());
  }
  if (!integer) result.integers.clear();
  result.dims = {result.size()};
  return result;
}

/// Slice of a constant: `places` are lists of starts, ends, axes, steps as the operator has them.
OnnxConstant slice(const OnnxConstant& x, const OnnxSlice& slice) {
  std::vector<std::int64_t> dims = x.dims;
  std::vector<std::int64_t> first(dims.size(), 0);
  std::vector<std::int64_t> step(dims.size(), 1);
  for (const OnnxSlice::Axis& cut : slice.axes) {
    dims[cut.axis] = cut.count;
    first[cut.axis] = cut.start;
    step[cut.axis] = cut.step;
  }
  return gather_elements(x, dims, [&](std::size_t flat) {
    std::size_t source = 0;
    std::size_t stride = 1;
    for (std::size_t k = dims.size(); k-- > 0;) {
      const auto size = static_cast<std::size_t>(dims[k]);
      const std::int64_t at = first[k] + static_cast<std::int64_t>(flat % size) * step[k];
      source += static_cast<std::size_t>(at) * stride;
      stride *= static_cast<std::size_t>(x.dims[k]);
      flat /= size;
    }
    return source;
  });
}

OnnxConstant reduce_product(const OnnxConstant& x, const std::vector<std::int64_t>& axes, bool keep) {
  if (x.dims.size() > 1 || (axes.size() == 1 && axes.front() != 0 && axes.front() != -1) || axes.size() > 1)
    throw NotSupported{"ReduceProd is supported on constant vectors only"};
  OnnxConstant result;
  result.type = x.type;
  if (keep) result.dims = {1};
  if (!x.integers.empty()) {
    std::int64_t product = 1;
    for (const std::int64_t v : x.integers) {
      if (v != 0 && std::abs(product) > (std::int64_t{1} << 31) / std::abs(v))
        throw NotSupported{"an integer is too large"};
      product *= v;
    }
    set_integers(result, {product});
  } else {
    float product = 1;
    for (const float v : x.values) product *= v;
    result.values = {product};
  }
  return result;
}

/// Element-wise arithmetic of equal shapes, or of a tensor and a scalar.
OnnxConstant arithmetic(const std::string& op, const OnnxConstant& a, const OnnxConstant& b) {
  const OnnxConstant& larger = a.size() >= b.size() ? a : b;
  if (a.size() == 0 || b.size() == 0) throw NotSupported{"a constant operand is empty"};
  if (a.size() != 1 && b.size() != 1 && a.dims != b.dims) throw NotSupported{"constants of different shapes"};
  const bool integer = !a.integers.empty() && !b.integers.empty();
  const auto apply = [&](auto x, auto y) -> decltype(x) {
    if (op == "Add") return x + y;
    if (op == "Sub") return x - y;
    if (op == "Mul") return x * y;
    if (y == 0) throw NotSupported{"a constant is divided by zero"};
    return x / y;
  };
  OnnxConstant result;
  result.dims = larger.dims;
  for (std::size_t i = 0; i < larger.values.size(); ++i) {
    const std::size_t ia = a.size() == 1 ? 0 : i, ib = b.size() == 1 ? 0 : i;
    if (integer) {
      constexpr std::int64_t kLimit = std::int64_t{1} << 31;  // shapes and axes: far below
      if (std::abs(a.integers[ia]) > kLimit || std::abs(b.integers[ib]) > kLimit)
        throw NotSupported{"an integer is too large"};
      result.integers.push_back(apply(a.integers[ia], b.integers[ib]));
      result.values.push_back(static_cast<float>(result.integers.back()));
    } else {
      result.values.push_back(apply(a.values[ia], b.values[ib]));
    }
  }
  return result;
}

OnnxConstant cast(const OnnxConstant& x, std::int64_t type) {
  OnnxConstant result = x;
  result.type = static_cast<std::int32_t>(type);
  if (is_float_type(type)) {
    result.integers.clear();
  } else if (type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32) {
    if (x.integers.empty()) {
      for (const float v : x.values) {
        if (!(std::abs(v) < 0x1p31F)) throw NotSupported{"a constant does not fit the integer type"};
        result.integers.push_back(static_cast<std::int64_t>(v));
      }
    }
  } else {
    throw NotSupported{"Cast to type " + std::to_string(type)};
  }
  return result;
}

std::vector<std::int64_t> axes_of(const onnx::NodeProto& node,
                                  const std::vector<const OnnxConstant*>& operands) {
  if (operands.size() > 1 && operands[1] != nullptr) return operands[1]->integers;
  return OnnxAttributes(node).integers("axes", {});
}

OnnxConstant constant_node(const onnx::NodeProto& node, const ExternalBytes& external) {
  const OnnxAttributes attributes(node);
  if (const onnx::TensorProto* tensor = attributes.tensor("value")) return read_constant(*tensor, external);
  OnnxConstant result;
  if (attributes.has("value_float")) {
    result.values = {attributes.real("value_float", 0)};
  } else if (attributes.has("value_floats")) {
    result.values = attributes.reals("value_floats");
    result.dims = {result.size()};
  } else if (attributes.has("value_int")) {
    set_integers(result, {attributes.integer("value_int", 0)});
  } else if (attributes.has("value_ints")) {
    set_integers(result, attributes.integers("value_ints", {}));
    result.dims = {result.size()};
  } else {
    throw NotSupported{"a Constant without a tensor, number or list of numbers"};
  }
  return result;
}

std::vector<std::size_t> normalised_axes(const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<std::size_t> result;
  for (const std::int64_t axis : axes) {
    const std::int64_t k = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
    if (k < 0 || k >= static_cast<std::int64_t>(rank)) throw NotSupported{"an axis is out of range"};
    result.push_back(static_cast<std::size_t>(k));
  }
  std::sort(result.begin(), result.end());
  if (std::adjacent_find(result.begin(), result.end()) != result.end())
    throw NotSupported{"an axis occurs twice"};
  return result;
}

}  // namespace

std::int64_t element_count(const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (const std::int64_t d : dims) {
    if (d < 0 || d > kMaxConstantSize || (d > 0 && count > kMaxConstantSize / d)) {
      throw NotSupported{"a tensor has an invalid size"};
    }
    count *= d;
  }
  return count;
}

OnnxConstant read_constant(const onnx::TensorProto& tensor, const ExternalBytes& external) {
  OnnxConstant result;
  if (tensor.dims_size() > 8) throw NotSupported{"its tensor has more than 8 dimensions"};
  result.dims.assign(tensor.dims().begin(), tensor.dims().end());
  const std::int64_t count = element_count(result.dims);
  if (tensor.has_data_location() && tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    if (!external) {
      throw NotSupported{
          "its tensor lies in another file, which can be read beside a file only: give the path of the "
          "network"};
    }
    onnx::TensorProto inside;
    inside.set_data_type(tensor.data_type());
    for (const std::int64_t d : result.dims) inside.add_dims(d);
    inside.set_raw_data(
        external(tensor, static_cast<std::size_t>(count) * element_bytes(tensor.data_type())));
    return read_constant(inside);
  }
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      result.values = typed_values<float>(tensor, tensor.float_data(), count);
      break;
    case onnx::TensorProto::DOUBLE: {
      const std::vector<double> values = typed_values<double>(tensor, tensor.double_data(), count);
      result.values.assign(values.begin(), values.end());
      break;
    }
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      result.values = half_values(tensor, count);
      break;
    case onnx::TensorProto::INT64:
      set_integers(result, typed_values<std::int64_t>(tensor, tensor.int64_data(), count));
      break;
    case onnx::TensorProto::INT32: {
      const std::vector<std::int32_t> values = typed_values<std::int32_t>(tensor, tensor.int32_data(), count);
      set_integers(result, {values.begin(), values.end()});
      break;
    }
    case onnx::TensorProto::INT8:
      set_integers(result, small_integers<std::int8_t>(tensor, count));
      break;
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::BOOL:
      set_integers(result, small_integers<std::uint8_t>(tensor, count));
      break;
    case onnx::TensorProto::INT16:
      set_integers(result, small_integers<std::int16_t>(tensor, count));
      break;
    case onnx::TensorProto::UINT16:
      set_integers(result, small_integers<std::uint16_t>(tensor, count));
      break;
    default:
      throw NotSupported{
          "its tensor has data type " + std::to_string(tensor.data_type()) +
          " (float, float16, bfloat16, double, bool, int8, uint8, int16, uint16, int32 and int64 are "
          "supported)"};
  }
  result.type = tensor.data_type();
  return result;
}

const onnx::AttributeProto* OnnxAttributes::find(const char* name) const {
  for (const onnx::AttributeProto& attribute : node_.attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

std::int64_t OnnxAttributes::integer(const char* name, std::int64_t otherwise) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute == nullptr ? otherwise : attribute->i();
}

float OnnxAttributes::real(const char* name, float otherwise) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute == nullptr ? otherwise : attribute->f();
}

std::string OnnxAttributes::text(const char* name, const std::string& otherwise) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute == nullptr ? otherwise : attribute->s();
}

std::vector<float> OnnxAttributes::reals(const char* name) const {
  const onnx::AttributeProto* attribute = find(name);
  if (attribute == nullptr) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

std::vector<std::int64_t> OnnxAttributes::integers(const char* name,
                                                   std::vector<std::int64_t> otherwise) const {
  const onnx::AttributeProto* attribute = find(name);
  if (attribute == nullptr) return otherwise;
  return {attribute->ints().begin(), attribute->ints().end()};
}

const onnx::TensorProto* OnnxAttributes::tensor(const char* name) const {
  const onnx::AttributeProto* attribute = find(name);
  return attribute != nullptr && attribute->has_t() ? &attribute->t() : nullptr;
}

std::vector<std::int64_t> reshape_target(const std::vector<std::int64_t>& from,
                                         std::vector<std::int64_t> target, bool allow_zero) {
  const std::int64_t count = element_count(from);
  if (target.size() > 8) throw NotSupported{"its target has more than 8 dimensions"};
  std::int64_t known = 1;
  std::optional<std::size_t> open;
  for (std::size_t k = 0; k < target.size(); ++k) {
    if (target[k] == 0 && !allow_zero && k < from.size()) target[k] = from[k];
    if (target[k] == -1 && !open) {
      open = k;
    } else if (target[k] < 0 || (target[k] > 0 && known > kMaxConstantSize / target[k])) {
      throw NotSupported{"its target shape is invalid"};
    } else {
      known *= target[k];
    }
  }
  if (open) target[*open] = known > 0 && count % known == 0 ? count / known : -1;
  if (element_count(target) != count) throw NotSupported{"its target shape does not fit its operand"};
  return target;
}

std::vector<std::int64_t> squeezed(const std::vector<std::int64_t>& dims, std::vector<std::int64_t> axes) {
  if (axes.empty()) {
    for (std::size_t k = 0; k < dims.size(); ++k) {
      if (dims[k] == 1) axes.push_back(static_cast<std::int64_t>(k));
    }
  }
  const std::vector<std::size_t> removed = normalised_axes(axes, dims.size());
  std::vector<std::int64_t> result;
  for (std::size_t k = 0; k < dims.size(); ++k) {
    if (!std::binary_search(removed.begin(), removed.end(), k)) {
      result.push_back(dims[k]);
    } else if (dims[k] != 1) {
      throw NotSupported{"squeezes an axis of size " + std::to_string(dims[k])};
    }
  }
  return result;
}

std::vector<std::int64_t> unsqueezed(const std::vector<std::int64_t>& dims, std::vector<std::int64_t> axes) {
  if (dims.size() + axes.size() > 8) throw NotSupported{"more than 8 dimensions"};
  const std::vector<std::size_t> added = normalised_axes(axes, dims.size() + axes.size());
  std::vector<std::int64_t> result = dims;
  for (const std::size_t axis : added) result.insert(result.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  return result;
}

bool is_float_type(std::int64_t type) noexcept {
  return type == onnx::TensorProto::FLOAT || type == onnx::TensorProto::DOUBLE ||
         type == onnx::TensorProto::FLOAT16 || type == onnx::TensorProto::BFLOAT16;
}

OnnxSlice read_slice(const std::vector<std::int64_t>& dims,
                     const std::optional<std::vector<std::int64_t>>& starts,
                     const std::optional<std::vector<std::int64_t>>& ends,
                     const std::optional<std::vector<std::int64_t>>& axes,
                     const std::optional<std::vector<std::int64_t>>& steps) {
  if (!starts || !ends) throw NotSupported{"its starts or ends are missing"};
  const std::size_t count = starts->size();
  if (ends->size() != count || (axes && axes->size() != count) || (steps && steps->size() != count))
    throw NotSupported{"its lists have different lengths"};
  OnnxSlice result;
  for (std::size_t k = 0; k < count; ++k) {
    const auto rank = static_cast<std::int64_t>(dims.size());
    std::int64_t axis = axes ? (*axes)[k] : static_cast<std::int64_t>(k);
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank) throw NotSupported{"an axis is out of range"};
    const std::int64_t size = dims[static_cast<std::size_t>(axis)];
    const std::int64_t step = steps ? (*steps)[k] : 1;
    if (step == 0) throw NotSupported{"a step of 0"};
    if (step < 0) {
      const auto last = [&](std::int64_t place) {
        return std::clamp<std::int64_t>(place < 0 && place >= -size ? place + size : place, -1, size - 1);
      };
      const std::int64_t start = last((*starts)[k]), end = last((*ends)[k]);
      if (end >= start || step < -size) throw NotSupported{"its slice is empty"};
      result.axes.push_back({static_cast<std::size_t>(axis), start, (start - end - step - 1) / -step, step});
      continue;
    }
    const auto clamped = [&](std::int64_t place) {
      return std::clamp<std::int64_t>(place < 0 ? place + size : place, 0, size);
    };
    const std::int64_t start = clamped((*starts)[k]);
    const std::int64_t end = clamped((*ends)[k]);
    if (end <= start) throw NotSupported{"its slice is empty"};
    result.axes.push_back({static_cast<std::size_t>(axis), start, (end - start + step - 1) / step, step});
  }
  return result;
}

std::optional<OnnxConstant> evaluate_constant(const onnx::NodeProto& node,
                                              const std::vector<const OnnxConstant*>& operands,
                                              const ExternalBytes& external) {
  const std::string& op = node.op_type();
  if (op == "Constant") return constant_node(node, external);
  if (operands.empty() || operands.front() == nullptr) return std::nullopt;
  const OnnxConstant& x = *operands.front();
  const OnnxAttributes attributes(node);
  if (op == "Identity" || op == "Dropout") return x;
  if (op == "Reshape")
    return with_dims(
        x, reshape_target(x.dims, required(operands, 1).integers, attributes.integer("allowzero", 0) != 0));
  if (op == "Flatten") {
    const std::int64_t rank = static_cast<std::int64_t>(x.dims.size());
    const std::int64_t axis = attributes.integer("axis", 1) + (attributes.integer("axis", 1) < 0 ? rank : 0);
    if (axis < 0 || axis > rank) throw NotSupported{"its axis is out of range"};
    const std::int64_t rows = element_count({x.dims.begin(), x.dims.begin() + axis});
    return with_dims(x, {rows, rows == 0 ? 0 : x.size() / rows});
  }
  if (op == "Transpose") return transpose(x, attributes.integers("perm", {}));
  if (op == "Squeeze") return with_dims(x, squeezed(x.dims, axes_of(node, operands)));
  if (op == "Unsqueeze") return with_dims(x, unsqueezed(x.dims, axes_of(node, operands)));
  if (op == "Gather") return gather(x, required(operands, 1), attributes.integer("axis", 0));
  if (op == "Slice") {
    const auto list = [&](std::size_t k, const char* name) -> std::optional<std::vector<std::int64_t>> {
      if (k < operands.size() && operands[k] != nullptr) return operands[k]->integers;
      if (attributes.has(name)) return attributes.integers(name, {});
      return std::nullopt;
    };
    return slice(x,
                 read_slice(x.dims, list(1, "starts"), list(2, "ends"), list(3, "axes"), list(4, "steps")));
  }
  if (op == "ReduceProd")
    return reduce_product(x, axes_of(node, operands), attributes.integer("keepdims", 1) != 0);
  if (op == "Concat") return concatenate(operands);
  if (op == "Cast") return cast(x, attributes.integer("to", 0));
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div")
    return arithmetic(op, x, required(operands, 1));
  if (op == "QuantizeLinear" || op == "DequantizeLinear") {
    const bool back = op == "DequantizeLinear";
    if (back != x.is_integer()) throw NotSupported{"its operand has the wrong type"};
    const OnnxConstant* zero_point = operands.size() > 2 ? operands[2] : nullptr;
    const OnnxQuantisation quantisation =
        read_quantisation(node, x.dims, required(operands, 1), zero_point, back ? x.type : 0);
    return back ? dequantised(x, quantisation) : quantised(x, quantisation);
  }
  if (op == "Shape") return shape_constant(node, x.dims);
  return std::nullopt;
}

OnnxConstant shape_constant(const onnx::NodeProto& node, const std::vector<std::int64_t>& dims) {
  const OnnxAttributes attributes(node);
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto place = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t k = std::clamp(attributes.integer(name, otherwise), -rank, rank);
    return k + (k < 0 ? rank : 0);
  };
  const std::int64_t start = place("start", 0), end = std::max(start, place("end", rank));
  OnnxConstant result;
  set_integers(result, {dims.begin() + start, dims.begin() + end});
  result.dims = {result.size()};
  return result;
}

}  // namespace popcorn::compress
