// A plain interpreter of the ONNX operators that integer networks are exported with: double precision, one
// input, written from the operators' definitions, nothing shared with what is tested.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace popcorn::test {

/// Every value of the graph for one input (without its batch dimension), the last output's last.
/// @throws std::runtime_error for an operator it does not know
std::vector<double> run_onnx(const onnx::GraphProto& graph, const std::vector<double>& input);

}  // namespace popcorn::test
