// Writing the integer network as ONNX, so that its numbers can be checked with other tools.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "models/network/integer_network.h"

namespace popcorn::compress {

enum class OnnxNumbers {
  automatic,         ///< single precision when all of it is exact, else double
  single_precision,  ///< float32: whole numbers up to 2^24 are exact
  double_precision   ///< float64: up to 2^53
};

struct IntegerOnnx {
  Bytes file;
  bool double_precision = false;
  /// Nodes with sums that may leave the exact range for some input (by the static bounds, so they need not
  /// ever do so). Empty: every number of every evaluation is the integer network's, in whatever order a tool
  /// adds.
  std::vector<std::string> inexact;
};

/// ONNX, opset 13, batch open; the input is the integer tensor (pixel − offset), every intermediate value is
/// the integer of the node of the same name, the output the integer logits.
///
/// Dense layers become Gemm, convolutions Conv, sums over windows a Conv of ones for each channel alone,
/// multipliers a Mul before Add or Concat. sign(x) is +1 at zero here and 0 in ONNX, so it becomes
/// Sign(x + 1/2), which needs one bit more. A rescale becomes Floor(x · 2^−t + 1/2), channel by channel, and
/// a ReLU where it has one; a ring is y − 2^w · Floor(y · 2^−w + 1/2). Each needs one bit more. So does the
/// requantised network's ONNX form compute what rounding to nearest gives, bit for bit. The metadata holds
/// what read_onnx() restores, the config_id, and the scale of the output.
/// @param network finished. @throws InputError "model.value_too_large" for values near the end of the range
/// of the format
IntegerOnnx integer_onnx(const models::IntegerNetwork& network, OnnxNumbers numbers = OnnxNumbers::automatic);

}  // namespace popcorn::compress
