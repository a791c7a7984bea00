// Writing the integer network as ONNX, for `popcorn export` and `popcorn compress --export-onnx`.
#pragma once

#include <filesystem>
#include <string>

#include "compress/onnx/integer_onnx.h"

namespace popcorn::cli {

/// @throws IoError, InputError "model.value_too_large"
compress::IntegerOnnx write_integer_onnx(const models::IntegerNetwork& network,
                                         const std::filesystem::path& path,
                                         compress::OnnxNumbers numbers = compress::OnnxNumbers::automatic);

/// What was written and which of its numbers are exact, in two lines.
std::string export_summary(const compress::IntegerOnnx& exported, const std::filesystem::path& path);

}  // namespace popcorn::cli
