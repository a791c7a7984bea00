// Whether a PNG or JPEG is whole, before it is decoded, and the binary PNM formats.
#pragma once

#include <string>

#include "base/bytes.h"
#include "models/input/input_encoding.h"

namespace popcorn::datasets {

enum class ImageFormat { png, jpeg, pnm, unknown };
/// By the first bytes.
ImageFormat image_format(ByteView file);

/// Why the PNG is damaged: walks its chunks to IEND and compares their CRC-32. Empty when it is whole.
std::string png_damage(ByteView file);
/// Why the JPEG is damaged: walks its segments to the scan and looks for the end marker. Empty when it is
/// whole.
std::string jpeg_damage(ByteView file);

/// Binary PGM ("P5") or PPM ("P6") with up to 255 grey levels, brought to the range 0…255.
/// @throws InputError "image.invalid", "image.too_large"; the message starts with `name`
models::Image decode_pnm(ByteView file, const std::string& name, std::int64_t max_side);

}  // namespace popcorn::datasets
