#include "models/input_encoding_json.h"

#include "models/input_encoding.h"

namespace popcorn::models {

namespace {

const char* to_text(InputEncoding::Resize resize) {
  return resize == InputEncoding::Resize::stretch ? "stretch" : "shorter_side_then_center_crop";
}

const char* to_text(InputEncoding::Invert invert) {
  switch (invert) {
    case InputEncoding::Invert::always:
      return "always";
    case InputEncoding::Invert::dark_on_light:
      return "dark_on_light";
    default:
      return "never";
  }
}

}  // namespace

Json encoding_json(const InputEncoding& encoding) {
  Json json;
  json["shape"] = {encoding.shape.channels, encoding.shape.height, encoding.shape.width};
  json["color"] = encoding.color;
  json["resize"] = to_text(encoding.resize);
  json["resize_shorter_side"] = encoding.resize_shorter_side;
  json["invert"] = to_text(encoding.invert);
  json["offset"] = encoding.offset;
  json["low"] = encoding.low;
  json["high"] = encoding.high;
  return json;
}

std::string encoding_to_json(const InputEncoding& encoding) {
  return encoding_json(encoding).dump();
}

}  // namespace popcorn::models
