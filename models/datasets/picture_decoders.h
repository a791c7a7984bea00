// PNG by libpng and JPEG by libjpeg-turbo, as training pipelines decode them. Private to models/datasets/.
#pragma once

#include <string>

#include "base/bytes.h"
#include "models/input/input_encoding.h"

namespace popcorn::datasets {

struct DecodedPicture {
  models::Image image;  ///< as stored
  unsigned orientation = 1;
};

/// Grey or RGB of 8 bits; 16-bit samples lose their lower half, palettes are resolved, alpha is laid on
/// white.
/// @throws InputError "image.invalid", "image.too_large", before anything of the picture's size is allocated
DecodedPicture decode_png(ByteView file, const std::string& name);
/// Baseline and progressive, grey or YCbCr; integer "islow" DCT and "fancy" upsampling, libjpeg's defaults.
/// @throws as above; CMYK is refused
DecodedPicture decode_jpeg(ByteView file, const std::string& name);

[[noreturn]] void fail_picture(const std::string& name, const std::string& reason);
/// @throws InputError "image.too_large" that names the size and the limit
void check_picture_size(const std::string& name, std::int64_t width, std::int64_t height);

}  // namespace popcorn::datasets
