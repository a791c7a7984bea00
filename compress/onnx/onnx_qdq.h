// QuantizeLinear and DequantizeLinear of an ONNX graph. Includes the ONNX messages.
#pragma once

#include <vector>

#include "compress/onnx/onnx_constant.h"

namespace popcorn::compress {

/// q = saturate(round(x / scale) + zero_point), x = (q − zero_point) · scale.
struct OnnxQuantisation {
  std::vector<float> scales;              ///< one, or one per index along `axis`
  std::vector<std::int64_t> zero_points;  ///< as many
  std::int64_t axis = 0;                  ///< 0 with one scale
  std::int32_t type = 0;                  ///< of q, an onnx::TensorProto type
  std::int64_t low = 0, high = 0;         ///< range of that type
  friend bool operator==(const OnnxQuantisation&, const OnnxQuantisation&) = default;

  /// Whether saturation cuts off exactly the negative values: every zero point is the lowest q.
  bool cuts_negatives() const;
};

/// The parameters of a QuantizeLinear or DequantizeLinear whose operand has these dimensions.
/// @param zero_point null when absent; @param type of the quantised side, where the caller knows it, else 0
/// @throws NotSupported when scale, zero point, axis and type do not fit each other or the operand
OnnxQuantisation read_quantisation(const onnx::NodeProto& node, const std::vector<std::int64_t>& dims,
                                   const OnnxConstant& scale, const OnnxConstant* zero_point,
                                   std::int32_t type);

/// Both operators on constants, in the standard's float32 arithmetic (ties to even).
OnnxConstant quantised(const OnnxConstant& x, const OnnxQuantisation& quantisation);
OnnxConstant dequantised(const OnnxConstant& x, const OnnxQuantisation& quantisation);

}  // namespace popcorn::compress
