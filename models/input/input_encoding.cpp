#include "models/input/input_encoding.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/input/image_resize.h"
#include "models/network/shape_inference.h"

namespace popcorn::models {

namespace {

/// One plane per channel, row-major.
using Plane = std::vector<std::uint8_t>;

constexpr std::int64_t kMaxImageSide = Limits::kExtent;
constexpr std::int64_t kMaxImageSamples = std::int64_t{1} << 29;

void check_image(const Image& image) {
  const bool sides = image.width >= 1 && image.width <= kMaxImageSide && image.height >= 1 &&
                     image.height <= kMaxImageSide && image.width * image.height <= kMaxImageSamples / 3;
  if (!sides) {
    throw InputError("input.image", "a picture of " + std::to_string(image.width) + "x" +
                                        std::to_string(image.height) + " pixels is empty or too large");
  }
  if (image.channels != 1 && image.channels != 3) {
    throw InputError("input.image", "a picture must have 1 (grey) or 3 (RGB) channels, found " +
                                        std::to_string(image.channels));
  }
  if (static_cast<std::int64_t>(image.samples.size()) != image.width * image.height * image.channels) {
    throw InputError("input.image", "a picture has " + std::to_string(image.samples.size()) +
                                        " samples, its size needs " +
                                        std::to_string(image.width * image.height * image.channels));
  }
}

Plane channel_plane(const Image& image, std::size_t channel) {
  const auto step = static_cast<std::size_t>(image.channels);
  Plane plane(image.samples.size() / step);
  for (std::size_t i = 0; i < plane.size(); ++i) plane[i] = image.samples[i * step + channel];
  return plane;
}

/// ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, rounded.
Plane luma_plane(const Image& image) {
  if (image.channels == 1) return image.samples;
  Plane plane(image.samples.size() / 3);
  for (std::size_t i = 0; i < plane.size(); ++i) {
    const std::uint8_t* rgb = image.samples.data() + 3 * i;
    plane[i] = static_cast<std::uint8_t>((299U * rgb[0] + 587U * rgb[1] + 114U * rgb[2] + 500U) / 1000U);
  }
  return plane;
}

/// The tensor's channels in its order, at the picture's size.
std::vector<Plane> planes_of(const std::string& color, const Image& image) {
  if (color == "gray") return {luma_plane(image)};
  if (image.channels == 1) return {image.samples, image.samples, image.samples};
  if (color == "rgb") return {channel_plane(image, 0), channel_plane(image, 1), channel_plane(image, 2)};
  return {channel_plane(image, 2), channel_plane(image, 1), channel_plane(image, 0)};
}

/// More than half of the outermost pixels are brighter than mid-grey.
bool has_bright_border(const Image& image) {
  const Plane luma = luma_plane(image);
  std::int64_t border = 0;
  std::int64_t bright = 0;
  for (std::int64_t row = 0; row < image.height; ++row) {
    const bool whole = row == 0 || row == image.height - 1;
    const std::int64_t step = whole ? 1 : std::max<std::int64_t>(image.width - 1, 1);
    for (std::int64_t column = 0; column < image.width; column += step) {
      ++border;
      bright += luma[static_cast<std::size_t>(row * image.width + column)] >= 128 ? 1 : 0;
    }
  }
  return 2 * bright > border;
}

bool wants_inversion(const InputEncoding& encoding, const Image& image) {
  switch (encoding.invert) {
    case InputEncoding::Invert::always:
      return true;
    case InputEncoding::Invert::dark_on_light:
      return has_bright_border(image);
    default:
      return false;
  }
}

/// `source` samples scaled by wanted_shorter / shorter (rounded), the middle `count` kept.
ResizeAxis centred_axis(std::int64_t source, std::int64_t shorter, std::int64_t wanted_shorter,
                        std::int64_t count) {
  const std::int64_t scaled = (2 * source * wanted_shorter + shorter) / (2 * shorter);
  return {source, scaled, (scaled - count) / 2, count};
}

/// As torchvision's Resize and CenterCrop: the longer side is cut to a whole number, half a pixel goes to the
/// even side.
ResizeAxis torchvision_axis(std::int64_t source, std::int64_t shorter, std::int64_t wanted_shorter,
                            std::int64_t count) {
  const std::int64_t scaled = source * wanted_shorter / shorter;
  const std::int64_t rest = scaled - count;
  const std::int64_t half = rest / 2;
  return {source, scaled, rest % 2 == 0 || half % 2 == 0 ? half : half + 1, count};
}

struct ResizeAxes {
  ResizeAxis vertical;
  ResizeAxis horizontal;
};

ResizeAxes resize_axes(const InputEncoding& encoding, const Image& image) {
  const Shape& shape = encoding.shape;
  const bool fits = image.width == shape.width && image.height == shape.height;
  if (fits || encoding.resize == InputEncoding::Resize::stretch) {
    return {{image.height, shape.height, 0, shape.height}, {image.width, shape.width, 0, shape.width}};
  }
  const std::int64_t shorter = std::min(image.width, image.height);
  if (encoding.filter == InputEncoding::Filter::bilinear) {
    return {torchvision_axis(image.height, shorter, encoding.resize_shorter_side, shape.height),
            torchvision_axis(image.width, shorter, encoding.resize_shorter_side, shape.width)};
  }
  return {centred_axis(image.height, shorter, encoding.resize_shorter_side, shape.height),
          centred_axis(image.width, shorter, encoding.resize_shorter_side, shape.width)};
}

void check_columns(const InputEncoding& encoding) {
  const auto bad = [](const std::string& what) {
    throw InputError("model.encoding", "the input encoding's columns " + what);
  };
  if (encoding.columns.size() > Limits::kColumns) bad("are more than " + std::to_string(Limits::kColumns));
  if (static_cast<std::int64_t>(encoding.columns.size()) != encoding.shape.size() ||
      encoding.shape.channels != encoding.shape.size())
    bad("are not as many as the numbers that the network takes");
  for (const InputColumn& column : encoding.columns) {
    if (!std::isfinite(column.low) || !std::isfinite(column.high) || !(column.low < column.high))
      bad("must have a range from a smaller to a larger number; \"" + column.name + "\" has none");
    if (column.name.size() > Limits::kNameBytes) bad("have a name that is too long");
  }
}

void check_takes_pictures(const InputEncoding& encoding) {
  if (!encoding.columns.empty()) {
    throw InputError("input.encoding", "the network takes rows of " +
                                           std::to_string(encoding.columns.size()) +
                                           " numbers (CSV, .npy or JSON), no pictures");
  }
  const std::int64_t channels = encoding.color == "gray" ? 1 : 3;
  if (encoding.shape.channels != channels) {
    throw InputError("input.encoding", "the network takes " + encoding.shape.to_string() + " numbers, no " +
                                           encoding.color +
                                           " picture; name the pictures' shape with --input-shape CxHxW when "
                                           "the network is compressed");
  }
}

}  // namespace

void check_encoding(const InputEncoding& encoding) {
  check_shape("input encoding", encoding.shape);
  if (!encoding.columns.empty()) check_columns(encoding);
  if (encoding.color != "gray" && encoding.color != "rgb" && encoding.color != "bgr") {
    throw InputError("model.encoding", "the input encoding's color must be gray, rgb or bgr");
  }
  if (encoding.low > encoding.high) throw InputError("model.encoding", "the input encoding's range is empty");
  const bool crops = encoding.resize == InputEncoding::Resize::shorter_side_then_center_crop;
  const std::int64_t least = crops ? std::max(encoding.shape.height, encoding.shape.width) : 0;
  if (encoding.resize_shorter_side < least || encoding.resize_shorter_side > Limits::kExtent) {
    throw InputError("model.encoding", "the input encoding's resize_shorter_side must be between " +
                                           std::to_string(least) + " and " + std::to_string(Limits::kExtent));
  }
  const std::size_t offsets = encoding.offset.size();
  if (offsets != 1 && static_cast<std::int64_t>(offsets) != encoding.shape.channels) {
    throw InputError("model.encoding",
                     "the input encoding needs one offset for all channels or one for each");
  }
  const auto small = [](std::int64_t offset) {
    return offset >= -Limits::kOffset && offset <= Limits::kOffset;
  };
  if (!std::ranges::all_of(encoding.offset, small)) {
    throw InputError("model.encoding",
                     "the input encoding's offsets must lie within ±" + std::to_string(Limits::kOffset));
  }
}

WideVector encode_image(const InputEncoding& encoding, const Image& image) {
  check_encoding(encoding);
  check_takes_pictures(encoding);
  check_image(image);
  const ResizeAxes axes = resize_axes(encoding, image);
  const bool inverted = wants_inversion(encoding, image);
  WideVector tensor(static_cast<std::size_t>(encoding.shape.size()), 1);
  std::size_t place = 0;
  const std::vector<Plane> planes = planes_of(encoding.color, image);
  for (std::size_t channel = 0; channel < planes.size(); ++channel) {
    const std::int64_t offset = encoding.offset[encoding.offset.size() == 1 ? 0 : channel];
    const Plane resized = encoding.filter == InputEncoding::Filter::bilinear
                              ? resize_plane_bilinear(planes[channel], axes.vertical, axes.horizontal)
                              : resize_plane(planes[channel], axes.vertical, axes.horizontal);
    for (const std::uint8_t sample : resized) {
      const std::int64_t value = (inverted ? 255 - sample : sample) - offset;
      if (value < encoding.low || value > encoding.high) {
        throw InputError("input.range", "a pixel becomes " + std::to_string(value) + ", the network takes " +
                                            std::to_string(encoding.low) + " to " +
                                            std::to_string(encoding.high));
      }
      tensor.set_int64(place++, value);
    }
  }
  return tensor;
}

std::vector<std::uint8_t> scale_row(const InputEncoding& encoding, std::span<const double> values) {
  if (encoding.columns.empty())
    throw InputError("input.row", "the network takes pictures, no rows of numbers");
  if (values.size() != encoding.columns.size()) {
    throw InputError("input.row", "a row of " + std::to_string(values.size()) +
                                      " numbers; the network takes " +
                                      std::to_string(encoding.columns.size()));
  }
  std::vector<std::uint8_t> scaled(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const InputColumn& column = encoding.columns[i];
    if (!std::isfinite(values[i])) {
      throw InputError("input.row",
                       "column " + (column.name.empty() ? std::to_string(i + 1) : "\"" + column.name + "\"") +
                           " is not a finite number");
    }
    const double share = (values[i] - column.low) / (column.high - column.low);
    scaled[i] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0)));
  }
  return scaled;
}

WideVector encode_row(const InputEncoding& encoding, std::span<const double> values) {
  check_encoding(encoding);
  const std::vector<std::uint8_t> scaled = scale_row(encoding, values);
  WideVector tensor(scaled.size(), 1);
  for (std::size_t i = 0; i < scaled.size(); ++i) {
    const std::int64_t value = std::int64_t{scaled[i]} - encoding.offset[encoding.offset.size() == 1 ? 0 : i];
    if (value < encoding.low || value > encoding.high) {
      throw InputError("input.range", "a number becomes " + std::to_string(value) + ", the network takes " +
                                          std::to_string(encoding.low) + " to " +
                                          std::to_string(encoding.high));
    }
    tensor.set_int64(i, value);
  }
  return tensor;
}

}  // namespace popcorn::models
