#include "models/datasets/image_reading.h"

#include "base/error.h"
#include "base/file.h"
#include "models/datasets/image_formats.h"
#include "models/datasets/orientation.h"
#include "models/datasets/picture_decoders.h"

namespace popcorn::datasets {

void fail_picture(const std::string& name, const std::string& reason) {
  throw InputError("image.invalid", name + ": not a picture that can be read (" + reason +
                                        "); PNG, JPEG and binary PGM or PPM are understood");
}

void check_picture_size(const std::string& name, std::int64_t width, std::int64_t height) {
  if (width >= 1 && height >= 1 && width <= kMaxImageSide && height <= kMaxImageSide) return;
  throw InputError("image.too_large", name + ": the picture is " + std::to_string(width) + "x" +
                                          std::to_string(height) + " pixels; at most " +
                                          std::to_string(kMaxImageSide) + " a side are taken");
}

Picture decode_picture(ByteView file, const std::string& name, Orientation orientation) {
  if (file.empty()) fail_picture(name, "it is empty");
  if (file.size() > kMaxImageFileBytes) {
    throw InputError("image.too_large", name + ": a picture file may have at most " +
                                            std::to_string(kMaxImageFileBytes >> 20) + " MiB");
  }
  const ImageFormat format = image_format(file);
  if (format == ImageFormat::pnm) return {decode_pnm(file, name, kMaxImageSide)};
  if (format == ImageFormat::unknown) fail_picture(name, "its first bytes are of no known format");
  const bool is_png = format == ImageFormat::png;
  const std::string damage = is_png ? png_damage(file) : jpeg_damage(file);
  if (!damage.empty()) fail_picture(name, damage);
  DecodedPicture decoded = is_png ? decode_png(file, name) : decode_jpeg(file, name);
  if (orientation == Orientation::apply)
    decoded.image = upright(std::move(decoded.image), decoded.orientation);
  return {std::move(decoded.image), decoded.orientation};
}

models::Image decode_image(ByteView file, const std::string& name, Orientation orientation) {
  return decode_picture(file, name, orientation).image;
}

Picture read_picture(const std::filesystem::path& path, Orientation orientation) {
  return decode_picture(read_file(path, kMaxImageFileBytes), path.string(), orientation);
}

models::Image read_image(const std::filesystem::path& path, Orientation orientation) {
  return read_picture(path, orientation).image;
}

std::vector<std::uint8_t> planar(const models::Image& image) {
  const auto channels = static_cast<std::size_t>(image.channels), plane = image.samples.size() / channels;
  std::vector<std::uint8_t> planes(image.samples.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < plane; ++p) planes[c * plane + p] = image.samples[p * channels + c];
  }
  return planes;
}

models::Image interleaved(std::span<const std::uint8_t> planes, const models::Shape& shape) {
  models::Image image{shape.width, shape.height, shape.channels, std::vector<std::uint8_t>(planes.size())};
  const auto channels = static_cast<std::size_t>(shape.channels), plane = planes.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < plane; ++p) image.samples[p * channels + c] = planes[c * plane + p];
  }
  return image;
}

}  // namespace popcorn::datasets
