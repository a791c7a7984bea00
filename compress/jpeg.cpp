#include "compress/jpeg.h"

#include <memory>

#include "base/error.h"

// A private copy: the command line has one of its own, and this library stands alone.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace popcorn::compress {

std::vector<std::uint8_t> decode_jpeg(ByteView file, const models::Shape& shape, const std::string& source) {
  int width = 0, height = 0, channels = 0;
  const int size = static_cast<int>(std::min<std::size_t>(file.size(), 1 << 30));
  const bool known = stbi_info_from_memory(file.data(), size, &width, &height, &channels) != 0;
  if (!known || width != shape.width || height != shape.height || shape.channels != 3) {
    throw InputError("dataset.jpeg", source + ": not a JPEG picture of " + std::to_string(shape.width) + "×" +
                                         std::to_string(shape.height));
  }
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(file.data(), size, &width, &height, &channels, 3), stbi_image_free);
  if (!pixels) throw InputError("dataset.jpeg", source + ": the picture is damaged");
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::vector<std::uint8_t> result(3 * plane);
  for (std::size_t p = 0; p < plane; ++p) {
    for (std::size_t c = 0; c < 3; ++c) result[c * plane + p] = pixels.get()[3 * p + c];
  }
  return result;
}

}  // namespace popcorn::compress
