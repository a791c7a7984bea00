// Picture files: PNG, JPEG and binary PGM/PPM.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "models/input/input_encoding.h"

namespace popcorn::datasets {

inline constexpr std::size_t kMaxImageFileBytes = std::size_t{64} << 20;
inline constexpr std::int64_t kMaxImageSide = 8192;

/// What is done with a picture's EXIF orientation, which cameras and telephones write.
enum class Orientation {
  apply,   ///< the picture as it is seen on a screen
  ignore,  ///< the pixels as they are stored
};

struct Picture {
  models::Image image;
  unsigned orientation = 1;  ///< of the file, 1 … 8 as EXIF numbers them; 1 = as stored
};

/// Decodes a picture to 8-bit grey or RGB samples; a transparent one is laid on white. At most kMaxImageSide
/// pixels a side, checked before anything is allocated. @param name used in messages, e.g. the path
/// @throws InputError "image.*" that names the file
Picture decode_picture(ByteView file, const std::string& name, Orientation orientation = Orientation::apply);
models::Image decode_image(ByteView file, const std::string& name,
                           Orientation orientation = Orientation::apply);

/// @throws IoError when the file cannot be read, InputError "image.*" when it is damaged; both name it
Picture read_picture(const std::filesystem::path& path, Orientation orientation = Orientation::apply);
models::Image read_image(const std::filesystem::path& path, Orientation orientation = Orientation::apply);

/// The samples channel after channel, the order of tensors; and back.
std::vector<std::uint8_t> planar(const models::Image& image);
models::Image interleaved(std::span<const std::uint8_t> planes, const models::Shape& shape);

}  // namespace popcorn::datasets
