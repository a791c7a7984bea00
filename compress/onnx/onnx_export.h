// Writing a float network as an ONNX file that any other tool can read.
#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

/// ONNX, opset 13, float32, batch open; weights as they are used (masked, rounded to the grid, with the
/// gain), plus metadata from which read_onnx() restores name, encoding, normalisation and labels. Same graph,
/// same bytes.
Bytes serialise_onnx(const FloatGraph& graph);

/// @throws IoError
void write_onnx(const FloatGraph& graph, const std::filesystem::path& path);

}  // namespace popcorn::compress
