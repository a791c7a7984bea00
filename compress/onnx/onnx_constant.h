// Constant tensors of an ONNX graph and the operators that are evaluated at import. Includes the ONNX
// messages.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
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

/// Gives the bytes of a tensor that lies in another file. @throws NotSupported that says what is wrong with
/// the place
using ExternalBytes = std::function<std::string(const onnx::TensorProto& tensor, std::size_t bytes)>;

/// Floating-point numbers (of 16, 32 and 64 bits; those of 16 are widened exactly, those of 64 rounded to the
/// nearest float), integers of at most 64 bits, booleans (as 0 and 1).
/// @param external for tensors in other files; without it they are not supported
/// @throws NotSupported for foreign types and sizes that do not match the dimensions
OnnxConstant read_constant(const onnx::TensorProto& tensor, const ExternalBytes& external = {});

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
                                              const std::vector<const OnnxConstant*>& operands,
                                              const ExternalBytes& external = {});

/// Whether an onnx::TensorProto type is a floating-point one.
bool is_float_type(std::int64_t type) noexcept;

/// A Slice along some axes: places start, start + step, … `count` of them.
struct OnnxSlice {
  struct Axis {
    std::size_t axis = 0;
    std::int64_t start = 0, count = 0, step = 1;
  };
  std::vector<Axis> axes;
};
/// Resolves negative and open places. @throws NotSupported for backward and empty slices, lists that do not
/// fit
OnnxSlice read_slice(const std::vector<std::int64_t>& dims,
                     const std::optional<std::vector<std::int64_t>>& starts,
                     const std::optional<std::vector<std::int64_t>>& ends,
                     const std::optional<std::vector<std::int64_t>>& axes,
                     const std::optional<std::vector<std::int64_t>>& steps);

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
