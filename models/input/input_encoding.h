// From a decoded picture to the integer input tensor, by the network's own rule.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::models {

/// 8-bit samples, row-major, interleaved channels (1 = grey, 3 = RGB), as image decoders give them.
struct Image {
  std::int64_t width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> samples;
};

/// Colour name, range, resize rule and offsets make sense together. @throws InputError "model.encoding",
/// "model.shape"
void check_encoding(const InputEncoding& encoding);

/// Colour conversion (ITU-R BT.601 luma for grey), resize (by the encoding's filter) and crop,
/// inversion, offset. An image that already has the right size and channels is only inverted (when asked) and
/// offset. Whether a picture is dark on light is judged from its outermost pixels, before the resize.
/// @throws InputError "input.*" when the image cannot be encoded for this network
WideVector encode_image(const InputEncoding& encoding, const Image& image);

/// A row of numbers, one for each column, to integers: round(255·(v − low)/(high − low)), held to 0 … 255,
/// minus the offset.
/// @throws InputError "input.row" when the network takes pictures, when the count is wrong or a number is not
/// finite: names the column
WideVector encode_row(const InputEncoding& encoding, std::span<const double> values);
/// The scaled numbers 0 … 255 alone, before the offset. @throws as encode_row()
std::vector<std::uint8_t> scale_row(const InputEncoding& encoding, std::span<const double> values);

/// JSON of the encoding, as in the model file and in the client bundle; and back (@throws InputError
/// "model.encoding").
std::string encoding_to_json(const InputEncoding& encoding);
InputEncoding encoding_from_json(std::string_view json);

}  // namespace popcorn::models
