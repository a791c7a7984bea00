#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "models/input/input_encoding.h"

namespace popcorn::models {

namespace {

constexpr const char* kCode = "model.encoding";
constexpr const char* kWhat = "the input encoding";

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

const char* to_text(InputEncoding::Filter filter) {
  return filter == InputEncoding::Filter::bilinear ? "bilinear" : "box";
}

/// The value whose text the field holds.
template <typename Choice>
Choice choice(const JsonFields& fields, std::string_view key, std::initializer_list<Choice> choices) {
  const std::string text = fields.text(key);
  std::string known;
  for (const Choice value : choices) {
    if (text == to_text(value)) return value;
    known += (known.empty() ? "" : ", ") + std::string(to_text(value));
  }
  fields.fail(key, "one of " + known);
}

}  // namespace

std::string encoding_to_json(const InputEncoding& encoding) {
  nlohmann::ordered_json json;  // keys keep their order, so the same encoding gives the same bytes
  json["shape"] = {encoding.shape.channels, encoding.shape.height, encoding.shape.width};
  json["color"] = encoding.color;
  json["resize"] = to_text(encoding.resize);
  json["resize_shorter_side"] = encoding.resize_shorter_side;
  // Left out where it is the default, so that what was written before stays the same to the byte.
  if (encoding.filter != InputEncoding::Filter::box) json["filter"] = to_text(encoding.filter);
  json["invert"] = to_text(encoding.invert);
  json["offset"] = encoding.offset;
  for (const InputColumn& column : encoding.columns)
    json["columns"].push_back({{"name", column.name}, {"low", column.low}, {"high", column.high}});
  json["low"] = encoding.low;
  json["high"] = encoding.high;
  return json.dump();
}

InputEncoding encoding_from_json(std::string_view json) {
  using Resize = InputEncoding::Resize;
  using Invert = InputEncoding::Invert;
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Json parsed = parse_json(json, kWhat, kCode);
  const JsonFields fields(
      parsed, kWhat, kCode,
      {"shape", "color", "resize", "resize_shorter_side", "invert", "offset", "low", "high"},
      {"filter", "columns"});
  InputEncoding encoding;
  const std::vector<std::int64_t> shape = fields.integers("shape", 3, 3, 1, Limits::kTensorSize);
  encoding.shape = {shape[0], shape[1], shape[2]};
  encoding.color = fields.text("color");
  encoding.resize = choice(fields, "resize", {Resize::stretch, Resize::shorter_side_then_center_crop});
  encoding.resize_shorter_side = fields.integer("resize_shorter_side", 0, Limits::kExtent);
  if (fields.has("filter"))
    encoding.filter = choice(fields, "filter", {InputEncoding::Filter::box, InputEncoding::Filter::bilinear});
  encoding.invert = choice(fields, "invert", {Invert::never, Invert::always, Invert::dark_on_light});
  encoding.offset = fields.integers("offset", 1, static_cast<std::size_t>(Limits::kChannels),
                                    -Limits::kOffset, Limits::kOffset);
  if (fields.has("columns")) {
    const Json& columns = fields.at("columns");
    if (!columns.is_array() || columns.empty() || columns.size() > Limits::kColumns)
      fields.fail("columns", "an array of 1 to " + std::to_string(Limits::kColumns) + " columns");
    for (const Json& column : columns) {
      const JsonFields column_fields(column, "a column of the input encoding", kCode,
                                     {"name", "low", "high"});
      encoding.columns.push_back(
          {column_fields.text("name"), column_fields.number("low"), column_fields.number("high")});
    }
  }
  encoding.low = fields.integer("low", kLeast, kMost);
  encoding.high = fields.integer("high", kLeast, kMost);
  check_encoding(encoding);
  return encoding;
}

}  // namespace popcorn::models
