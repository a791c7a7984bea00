#include "datasets/image_reading.h"

#define STBI_NO_STDIO
#include <stb/stb_image.h>

#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "datasets/image_formats.h"

namespace popcorn::datasets {

namespace {

struct StbFree {
  void operator()(stbi_uc* samples) const { stbi_image_free(samples); }
};

[[noreturn]] void fail(const std::string& name, const std::string& reason) {
  throw InputError("image.invalid", name + ": not a picture that can be read (" + reason +
                                        "); PNG, JPEG and binary PGM or PPM are understood");
}

std::string decoder_reason() {
  const char* reason = stbi_failure_reason();
  return reason == nullptr ? "unknown reason" : reason;
}

/// Drops the alpha channel, on white: white · (1 − a) + sample · a, rounded.
std::vector<std::uint8_t> flatten_alpha(const stbi_uc* samples, std::size_t pixels, std::size_t colors) {
  std::vector<std::uint8_t> flat(pixels * colors);
  for (std::size_t i = 0; i < pixels; ++i) {
    const stbi_uc* pixel = samples + i * (colors + 1);
    const unsigned alpha = pixel[colors];
    for (std::size_t c = 0; c < colors; ++c) {
      flat[i * colors + c] = static_cast<std::uint8_t>((255 * (255 - alpha) + pixel[c] * alpha + 127) / 255);
    }
  }
  return flat;
}

models::Image decode_with_stb(ByteView file, const std::string& name) {
  const auto length = static_cast<int>(file.size());
  int width = 0;
  int height = 0;
  int channels = 0;
  if (stbi_info_from_memory(file.data(), length, &width, &height, &channels) == 0) {
    fail(name, decoder_reason());
  }
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide) {
    throw InputError("image.too_large", name + ": the picture is " + std::to_string(width) + "x" +
                                            std::to_string(height) + " pixels; at most " +
                                            std::to_string(kMaxImageSide) + " a side are taken");
  }
  const std::unique_ptr<stbi_uc, StbFree> samples(
      stbi_load_from_memory(file.data(), length, &width, &height, &channels, 0));
  if (samples == nullptr) fail(name, decoder_reason());
  if (channels < 1 || channels > 4) fail(name, std::to_string(channels) + " channels");

  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  const bool has_alpha = channels == 2 || channels == 4;
  const std::size_t colors = channels <= 2 ? 1 : 3;
  models::Image image;
  image.width = width;
  image.height = height;
  image.channels = static_cast<std::int64_t>(colors);
  if (has_alpha) {
    image.samples = flatten_alpha(samples.get(), pixels, colors);
  } else {
    image.samples.assign(samples.get(), samples.get() + pixels * colors);
  }
  return image;
}

}  // namespace

models::Image decode_image(ByteView file, const std::string& name) {
  if (file.empty()) fail(name, "it is empty");
  if (file.size() > kMaxImageFileBytes) {
    throw InputError("image.too_large", name + ": a picture file may have at most " +
                                            std::to_string(kMaxImageFileBytes >> 20) + " MiB");
  }
  const ImageFormat format = image_format(file);
  if (format == ImageFormat::pnm) return decode_pnm(file, name, kMaxImageSide);
  const std::string damage = format == ImageFormat::png    ? png_damage(file)
                             : format == ImageFormat::jpeg ? jpeg_damage(file)
                                                           : "its first bytes are of no known format";
  if (!damage.empty()) fail(name, damage);
  return decode_with_stb(file, name);
}

models::Image read_image(const std::filesystem::path& path) {
  return decode_image(read_file(path, kMaxImageFileBytes), path.string());
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
