#include "models/datasets/image_formats.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"

namespace popcorn::datasets {

namespace {

constexpr std::array<std::uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::uint8_t kJpegStartOfImage = 0xd8;
constexpr std::uint8_t kJpegEndOfImage = 0xd9;
constexpr std::uint8_t kJpegStartOfScan = 0xda;

bool starts_with(ByteView file, ByteView prefix) {
  return file.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), file.begin());
}

std::uint32_t big_endian_32(ByteView bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

bool is_space(std::uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Reads the header of a PNM file: numbers between white space and comments.
class PnmHeader {
 public:
  explicit PnmHeader(ByteView rest) : rest_(rest) {}

  /// A number of at most 6 digits, or nothing.
  std::optional<std::int64_t> number() {
    skip_blank();
    std::int64_t value = 0;
    std::size_t digits = 0;
    while (digits < rest_.size() && digits < 7 && rest_[digits] >= '0' && rest_[digits] <= '9') {
      value = 10 * value + (rest_[digits] - '0');
      ++digits;
    }
    rest_ = rest_.subspan(digits);
    if (digits == 0 || digits > 6) return std::nullopt;
    return value;
  }

  /// The samples: what follows the one white space after the header.
  std::optional<ByteView> samples() const {
    if (rest_.empty() || !is_space(rest_[0])) return std::nullopt;
    return rest_.subspan(1);
  }

 private:
  void skip_blank() {
    while (!rest_.empty() && (is_space(rest_[0]) || rest_[0] == '#')) {
      if (rest_[0] == '#') {
        const auto end = std::find(rest_.begin(), rest_.end(), '\n');
        rest_ = rest_.subspan(static_cast<std::size_t>(end - rest_.begin()));
      } else {
        rest_ = rest_.subspan(1);
      }
    }
  }

  ByteView rest_;
};

}  // namespace

ImageFormat image_format(ByteView file) {
  if (starts_with(file, kPngSignature)) return ImageFormat::png;
  if (file.size() >= 3 && file[0] == 0xff && file[1] == kJpegStartOfImage && file[2] == 0xff)
    return ImageFormat::jpeg;
  if (file.size() >= 3 && file[0] == 'P' && (file[1] == '5' || file[1] == '6') && is_space(file[2])) {
    return ImageFormat::pnm;
  }
  return ImageFormat::unknown;
}

std::string png_damage(ByteView file) {
  constexpr std::size_t kChunkOverhead = 12;  // length, type, CRC
  ByteView rest = file.subspan(kPngSignature.size());
  while (rest.size() >= kChunkOverhead) {
    const std::size_t length = big_endian_32(rest);
    if (length > rest.size() - kChunkOverhead) return "it ends early";
    const ByteView covered = rest.subspan(4, 4 + length);
    const auto crc = static_cast<std::uint32_t>(crc32(0, covered.data(), static_cast<uInt>(covered.size())));
    if (crc != big_endian_32(rest.subspan(8 + length))) return "a checksum is wrong";
    if (std::equal(covered.begin(), covered.begin() + 4, "IEND")) return {};
    rest = rest.subspan(kChunkOverhead + length);
  }
  return "it ends early";
}

std::string jpeg_damage(ByteView file) {
  std::size_t at = 2;
  while (at + 4 <= file.size()) {
    if (file[at] != 0xff) return "a segment marker is missing";
    const std::uint8_t marker = file[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    const std::size_t length = static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3];
    if (length < 2) return "a segment length is wrong";
    at += 2 + length;
    if (marker == kJpegStartOfScan) {
      if (at >= file.size()) break;
      constexpr std::array<std::uint8_t, 2> kEnd = {0xff, kJpegEndOfImage};
      const ByteView scans = file.subspan(at);
      const bool has_end = std::search(scans.begin(), scans.end(), kEnd.begin(), kEnd.end()) != scans.end();
      return has_end ? std::string{} : "it ends early";
    }
  }
  return "it ends early";
}

models::Image decode_pnm(ByteView file, const std::string& name, std::int64_t max_side) {
  PnmHeader header(file.subspan(2));
  const auto width = header.number();
  const auto height = header.number();
  const auto largest = header.number();
  const auto samples = header.samples();
  if (!width || !height || !largest || !samples || *width < 1 || *height < 1 || *largest < 1) {
    throw InputError("image.invalid", name + ": the header of the PGM or PPM picture is damaged");
  }
  if (*largest > 255) {
    throw InputError("image.invalid",
                     name + ": PGM and PPM pictures with more than 255 levels are not understood");
  }
  if (*width > max_side || *height > max_side) {
    throw InputError("image.too_large", name + ": the picture is " + std::to_string(*width) + "x" +
                                            std::to_string(*height) + " pixels; at most " +
                                            std::to_string(max_side) + " a side are taken");
  }
  models::Image image;
  image.width = *width;
  image.height = *height;
  image.channels = file[1] == '5' ? 1 : 3;
  const auto count = static_cast<std::size_t>(image.width * image.height * image.channels);
  if (samples->size() < count) {
    throw InputError("image.invalid", name + ": the PGM or PPM picture ends early: " + std::to_string(count) +
                                          " samples were expected, " + std::to_string(samples->size()) +
                                          " are there");
  }
  image.samples.resize(count);
  std::transform(samples->begin(), samples->begin() + static_cast<std::ptrdiff_t>(count),
                 image.samples.begin(), [limit = *largest](std::uint8_t sample) {
                   const std::int64_t clipped = std::min<std::int64_t>(sample, limit);
                   return static_cast<std::uint8_t>((255 * clipped + limit / 2) / limit);
                 });
  return image;
}

}  // namespace popcorn::datasets
