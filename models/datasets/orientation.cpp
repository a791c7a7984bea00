#include "models/datasets/orientation.h"

#include <utility>

namespace popcorn::datasets {

namespace {

constexpr std::uint16_t kOrientationTag = 0x0112;
constexpr std::uint16_t kShort = 3;
constexpr std::size_t kEntryBytes = 12;

/// Numbers in the byte order that a TIFF header names; zero beyond the end.
class Tiff {
 public:
  Tiff(ByteView bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}
  std::uint32_t number(std::size_t at, std::size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < size; ++k) value = value << 8 | bytes_[at + (big_endian_ ? k : size - 1 - k)];
    return value;
  }

 private:
  ByteView bytes_;
  bool big_endian_;
};

}  // namespace

unsigned exif_orientation(ByteView tiff) {
  if (tiff.size() < 8) return 1;
  const bool big = tiff[0] == 'M' && tiff[1] == 'M';
  const bool little = tiff[0] == 'I' && tiff[1] == 'I';
  const Tiff numbers(tiff, big);
  if ((!big && !little) || numbers.number(2, 2) != 42) return 1;
  const std::size_t directory = numbers.number(4, 4);
  const std::size_t entries = numbers.number(directory, 2);
  for (std::size_t k = 0; k < entries; ++k) {
    const std::size_t entry = directory + 2 + k * kEntryBytes;
    if (entry > tiff.size() || tiff.size() - entry < kEntryBytes) return 1;
    if (numbers.number(entry, 2) != kOrientationTag) continue;
    const std::uint32_t value = numbers.number(entry + 8, 2);
    const bool sound = numbers.number(entry + 2, 2) == kShort && numbers.number(entry + 4, 4) == 1 &&
                       value >= 1 && value <= 8;
    return sound ? value : 1;
  }
  return 1;
}

models::Image upright(models::Image image, unsigned orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  // Bit by bit: from 5 on rows and columns are exchanged; the others mirror.
  const bool exchanged = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  models::Image result;
  result.width = exchanged ? image.height : image.width;
  result.height = exchanged ? image.width : image.height;
  result.channels = image.channels;
  result.samples.reserve(image.samples.size());
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::int64_t row = 0; row < result.height; ++row) {
    for (std::int64_t column = 0; column < result.width; ++column) {
      // Place in the stored picture.
      std::int64_t x = exchanged ? row : column;
      std::int64_t y = exchanged ? column : row;
      if (from_right) x = image.width - 1 - x;
      if (from_below) y = image.height - 1 - y;
      const std::uint8_t* const sample =
          image.samples.data() + static_cast<std::size_t>(y * image.width + x) * channels;
      result.samples.insert(result.samples.end(), sample, sample + channels);
    }
  }
  return result;
}

}  // namespace popcorn::datasets
