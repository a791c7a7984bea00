// Constant tensors of an ONNX graph and the operators that are evaluated at import. Includes the ONNX
// messages.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <vector>

namespace popcorn::compress {

/// Largest number of elements of one constant.
constexpr std::int64_t kMaxConstantSize = std::int64_t{1} << 29;

/// A constant tensor; integers (shapes, axes) are kept exactly beside their float form.
struct OnnxConstant {
  std::vector<std::int64_t> dims;
  std::vector<float> values;
  std::vector<std::int64_t> integers;  ///< filled for integer tensors only
  std::int32_t type = 0;               ///< onnx::TensorProto type it was read with; 0 where it was computed

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(values.size()); }
  bool is_integer() const noexcept { return !integers.empty() || values.empty(); }
};

/// A reason why a node cannot be taken over; collected, not fatal by itself.
struct NotSupported {
  std::string reason;
};

/// Product of dimensions. @throws NotSupported when one is negative or the product exceeds kMaxConstantSize
std::int64_t element_count(const std::vector<std::int64_t>& dims);

/// Floating-point numbers, integers of at most 64 bits, booleans (as 0 and 1).
/// @throws NotSupported for foreign types, external data and sizes that do not match the dimensions
OnnxConstant read_constant(const onnx::TensorProto& tensor);

/// Typed access to the attributes of a node; the default when it is absent.
class OnnxAttributes {
 public:
  explicit OnnxAttributes(const onnx::NodeProto& node) : node_(node) {}
  bool has(const char* name) const { return find(name) != nullptr; }
  std::int64_t integer(const char* name, std::int64_t otherwise) const;
  float real(const char* name, float otherwise) const;
  std::string text(const char* name, const std::string& otherwise) const;
  std::vector<float> reals(const char* name) const;
  std::vector<std::int64_t> integers(const char* name, std::vector<std::int64_t> otherwise) const;
  const onnx::TensorProto* tensor(const char* name) const;

 private:
  const onnx::AttributeProto* find(const char* name) const;
  const onnx::NodeProto& node_;
};

/// Result of an operator whose operands are all constant; nothing when it is not one of the evaluated
/// operators.
/// @param operands null for an absent optional operand
std::optional<OnnxConstant> evaluate_constant(const onnx::NodeProto& node,
                                              const std::vector<const OnnxConstant*>& operands);

/// What a Shape node gives for these dimensions: all of them, or from `start` to `end` (set 15 and later).
OnnxConstant shape_constant(const onnx::NodeProto& node, const std::vector<std::int64_t>& dims);

/// Resolves a Reshape target (0 = keep unless `allow_zero`, −1 = the rest). @throws NotSupported when it does
/// not fit
std::vector<std::int64_t> reshape_target(const std::vector<std::int64_t>& from,
                                         std::vector<std::int64_t> target, bool allow_zero = false);

/// Dimensions after removing (or inserting) axes of size one. @throws NotSupported
std::vector<std::int64_t> squeezed(const std::vector<std::int64_t>& dims, std::vector<std::int64_t> axes);
std::vector<std::int64_t> unsqueezed(const std::vector<std::int64_t>& dims, std::vector<std::int64_t> axes);

}  // namespace popcorn::compress
