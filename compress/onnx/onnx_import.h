// Reading a float network from an ONNX file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

/// What an ONNX file does not say. Unset members come from the file's metadata as `popcorn train` writes
/// them, else from defaults: x = pixel / 255 (x = pixel where the graph input holds whole numbers), the shape
/// of the graph input, no labels.
struct ImportOptions {
  std::optional<std::string> name;
  std::optional<models::Shape> input_shape;  ///< e.g. 1x28x28 for a file whose input is a vector of 784
  /// Of the data set's pictures: taken where the file leaves the shape open or reads as many values as a
  /// vector.
  std::optional<models::Shape> picture_shape;
  /// Graph output, value or node that the network ends with; empty: the obvious one, logits before their
  /// probabilities.
  std::string output_node;
  std::optional<std::string> color;  ///< "gray", "rgb", "bgr"
  /// Pictures: the shorter side is scaled to this, then the centre is cut out.
  std::optional<std::int64_t> resize_shorter_side;
  std::optional<models::InputEncoding::Filter> resize_filter;
  std::vector<double> mean, deviation;  ///< x = (pixel / 255 − mean) / deviation, per channel
  std::vector<std::string> labels;
  /// Quantised activations (QuantizeLinear, DequantizeLinear) saturate at an upper limit; true keeps it as a
  /// Clip where the lower limit is zero.
  bool keep_saturation = false;
};

/// Largest file that is read.
constexpr std::size_t kMaxOnnxBytes = std::size_t{1} << 30;

/// ONNX, opset 7 and later; the operators of onnx_operators(). Constant subgraphs (shapes, reshaped
/// weights) are evaluated; Identity, Dropout and Casts between floats vanish; a final Softmax sets `softmax`,
/// a final ArgMax is dropped. One output, with or without a Sigmoid, becomes two classes. Batch-norm stays a
/// node of its own. Quantised weights take the values that their integers stand for; a QuantizeLinear and its
/// DequantizeLinear around an activation vanish, or become a Relu where they cut off negative values.
/// @param source named in every message
/// @throws InputError "onnx.*": not an ONNX file, inconsistent tensors, or "onnx.unsupported" with every node
/// that is not supported, its operator and the reason
FloatGraph parse_onnx(ByteView file, const std::string& source, const ImportOptions& options = {});

/// Also reads weights that lie in files beside the network (onnx_external.h). @throws IoError; the rest as
/// parse_onnx
FloatGraph read_onnx(const std::filesystem::path& path, const ImportOptions& options = {});

/// The operators that the importer knows, sorted.
std::vector<std::string> onnx_operators();

}  // namespace popcorn::compress
