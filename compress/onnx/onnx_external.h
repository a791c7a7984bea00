// Tensors of an ONNX network that lie in files beside it.
#pragma once

#include <filesystem>

#include "compress/onnx/onnx_constant.h"

namespace popcorn::compress {

/// Reads what a tensor's external_data names: a file in the network's own folder or below it, never
/// elsewhere, also not through a link; offset and length must lie within the file and fit the tensor. At most
/// kMaxExternalBytes a network.
ExternalBytes external_beside(const std::filesystem::path& network);
constexpr std::size_t kMaxExternalBytes = std::size_t{2} << 30;

}  // namespace popcorn::compress
