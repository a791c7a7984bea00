#include "models/input/input_encoding.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "models/network/zoo.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

InputEncoding encoding_of(Shape shape, const std::string& color) {
  InputEncoding encoding;
  encoding.shape = shape;
  encoding.color = color;
  encoding.offset = {0};
  return encoding;
}

Image make_image(
    std::int64_t width, std::int64_t height, std::int64_t channels,
    const std::function<int(std::int64_t row, std::int64_t column, std::int64_t channel)>& sample) {
  Image image{width, height, channels, {}};
  for (std::int64_t row = 0; row < height; ++row) {
    for (std::int64_t column = 0; column < width; ++column) {
      for (std::int64_t channel = 0; channel < channels; ++channel) {
        image.samples.push_back(static_cast<std::uint8_t>(sample(row, column, channel)));
      }
    }
  }
  return image;
}

Image random_image(test::SeededRng& rng, std::int64_t width, std::int64_t height, std::int64_t channels) {
  return make_image(width, height, channels,
                    [&](auto, auto, auto) { return static_cast<int>(rng.between(0, 255)); });
}

std::vector<std::int64_t> values(const WideVector& tensor) {
  std::vector<std::int64_t> result;
  for (std::size_t i = 0; i < tensor.size(); ++i) result.push_back(tensor.to_int64(i));
  return result;
}

}  // namespace

TEST_CASE("a picture of the right size and colour is copied, channel first", "[models]") {
  test::SeededRng rng(81);
  const Image grey = random_image(rng, 7, 5, 1);
  const auto grey_values = values(encode_image(encoding_of({1, 5, 7}, "gray"), grey));
  REQUIRE(grey_values == std::vector<std::int64_t>(grey.samples.begin(), grey.samples.end()));

  const Image color = random_image(rng, 7, 5, 3);
  for (const char* order : {"rgb", "bgr"}) {
    InputEncoding encoding = encoding_of({3, 5, 7}, order);
    encoding.offset = {124, 0, -3};
    encoding.low = -124;
    encoding.high = 258;
    // The crop rule does not touch a picture that fits.
    encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
    encoding.resize_shorter_side = 8;
    const auto tensor = values(encode_image(encoding, color));
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const std::size_t source = std::string(order) == "rgb" ? channel : 2 - channel;
      for (std::size_t i = 0; i < 35; ++i) {
        REQUIRE(tensor[channel * 35 + i] == color.samples[3 * i + source] - encoding.offset[channel]);
      }
    }
  }
}

TEST_CASE("colour becomes grey by BT.601, grey becomes three equal channels", "[models]") {
  test::SeededRng rng(82);
  const Image color = random_image(rng, 16, 16, 3);
  const auto grey = values(encode_image(encoding_of({1, 16, 16}, "gray"), color));
  for (std::size_t i = 0; i < grey.size(); ++i) {
    const double luma =
        0.299 * color.samples[3 * i] + 0.587 * color.samples[3 * i + 1] + 0.114 * color.samples[3 * i + 2];
    REQUIRE(std::abs(static_cast<double>(grey[i]) - luma) <= 0.5 + 1e-9);
  }
  const Image plain = random_image(rng, 4, 4, 1);
  const auto tripled = values(encode_image(encoding_of({3, 4, 4}, "rgb"), plain));
  for (std::size_t i = 0; i < 48; ++i) REQUIRE(tripled[i] == plain.samples[i % 16]);
}

TEST_CASE("shrinking averages the area a pixel covers", "[models]") {
  test::SeededRng rng(83);
  const Image large = random_image(rng, 12, 8, 1);
  const auto small = values(encode_image(encoding_of({1, 4, 3}, "gray"), large));
  for (std::int64_t row = 0; row < 4; ++row) {
    for (std::int64_t column = 0; column < 3; ++column) {
      double sum = 0;
      for (std::int64_t i = 0; i < 2; ++i) {
        for (std::int64_t j = 0; j < 4; ++j) {
          sum += large.samples[static_cast<std::size_t>((2 * row + i) * 12 + 4 * column + j)];
        }
      }
      REQUIRE(std::abs(static_cast<double>(small[static_cast<std::size_t>(row * 3 + column)]) - sum / 8) <=
              0.5 + 1e-9);
    }
  }
  // Sizes that do not divide: three pixels of 0, 90, 180 on two are (0 + 90/2)/1.5 and (90/2 + 180)/1.5.
  const Image three =
      make_image(3, 1, 1, [](auto, auto column, auto) { return static_cast<int>(90 * column); });
  REQUIRE(values(encode_image(encoding_of({1, 1, 2}, "gray"), three)) == std::vector<std::int64_t>{30, 150});
}

TEST_CASE("enlarging is linear between pixel centres", "[models]") {
  const Image two = make_image(2, 1, 1, [](auto, auto column, auto) { return column == 0 ? 0 : 200; });
  REQUIRE(values(encode_image(encoding_of({1, 1, 4}, "gray"), two)) ==
          std::vector<std::int64_t>{0, 50, 150, 200});
  const Image ramp = make_image(
      8, 8, 1, [](auto row, auto column, auto) { return static_cast<int>(10 * row + 20 * column); });
  const auto large = values(encode_image(encoding_of({1, 24, 24}, "gray"), ramp));
  for (std::int64_t row = 2; row < 22; ++row) {
    for (std::int64_t column = 2; column < 22; ++column) {
      const double expected = 10 * ((static_cast<double>(row) + 0.5) / 3 - 0.5) +
                              20 * ((static_cast<double>(column) + 0.5) / 3 - 0.5);
      const auto found = static_cast<double>(large[static_cast<std::size_t>(row * 24 + column)]);
      REQUIRE(std::abs(found - expected) <= 0.5 + 1e-9);
    }
  }
}

TEST_CASE("a resize keeps one colour one colour, at any size", "[models]") {
  test::SeededRng rng(84);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t shade = rng.between(0, 255);
    const Image image = make_image(rng.between(1, 90), rng.between(1, 90), 1,
                                   [&](auto, auto, auto) { return static_cast<int>(shade); });
    InputEncoding encoding = encoding_of({1, rng.between(1, 40), rng.between(1, 40)}, "gray");
    if (round % 2 == 0) {
      encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
      encoding.resize_shorter_side =
          std::max(encoding.shape.height, encoding.shape.width) + rng.between(0, 9);
    }
    for (const std::int64_t value : values(encode_image(encoding, image))) REQUIRE(value == shade);
  }
}

TEST_CASE("the shorter side is resized and the middle kept", "[models]") {
  // Columns of a wide picture carry their number; the same height, so the crop is all that happens.
  const Image wide = make_image(20, 6, 1, [](auto, auto column, auto) { return static_cast<int>(column); });
  InputEncoding encoding = encoding_of({1, 4, 4}, "gray");
  encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
  encoding.resize_shorter_side = 6;
  const auto cropped = values(encode_image(encoding, wide));
  for (std::size_t i = 0; i < 16; ++i) REQUIRE(cropped[i] == static_cast<std::int64_t>(8 + i % 4));
  // A tall picture of twice the size: rows carry twice their number.
  const Image tall =
      make_image(12, 40, 1, [](auto row, auto, auto) { return static_cast<int>(row / 2 * 5); });
  const auto halved = values(encode_image(encoding, tall));
  for (std::size_t i = 0; i < 16; ++i) REQUIRE(halved[i] == static_cast<std::int64_t>((8 + i / 4) * 5));
}

TEST_CASE("what is dark on a bright page is inverted, the rest is not", "[models]") {
  const InputEncoding digits = zoo_network("mnist-conv2").encoding;
  const auto stroke = [](std::int64_t row, std::int64_t column) {
    return row > 8 && row < 20 && column > 12 && column < 16;
  };
  const Image scan =
      make_image(28, 28, 3, [&](auto row, auto column, auto) { return stroke(row, column) ? 20 : 240; });
  const Image mnist =
      make_image(28, 28, 1, [&](auto row, auto column, auto) { return stroke(row, column) ? 235 : 15; });
  REQUIRE(values(encode_image(digits, scan)) == values(encode_image(digits, mnist)));
  REQUIRE(encode_image(digits, mnist).to_int64(0) == 15);

  InputEncoding encoding = digits;
  encoding.invert = InputEncoding::Invert::never;
  REQUIRE(encode_image(encoding, scan).to_int64(0) == 240);
  encoding.invert = InputEncoding::Invert::always;
  REQUIRE(encode_image(encoding, mnist).to_int64(0) == 240);

  // The border decides by majority; the middle has no say. A 4x4 picture has 12 outermost pixels.
  for (int bright = 0; bright <= 12; ++bright) {
    int seen = 0;
    const Image border = make_image(4, 4, 1, [&](auto row, auto column, auto) {
      const bool outer = row == 0 || row == 3 || column == 0 || column == 3;
      if (!outer) return bright > 6 ? 0 : 255;
      return seen++ < bright ? 200 : 50;
    });
    InputEncoding small = encoding_of({1, 4, 4}, "gray");
    small.invert = InputEncoding::Invert::dark_on_light;
    const bool inverted = encode_image(small, border).to_int64(5) == (bright > 6 ? 255 : 0);
    REQUIRE(inverted == (bright > 6));
  }
}

TEST_CASE("pictures that cannot be encoded are refused", "[models]") {
  test::SeededRng rng(85);
  const InputEncoding grey = encoding_of({1, 4, 4}, "gray");
  const auto code = [](const InputEncoding& encoding, const Image& image) -> std::string {
    try {
      encode_image(encoding, image);
    } catch (const InputError& error) {
      return error.code();
    }
    return "accepted";
  };
  REQUIRE(code(grey, random_image(rng, 4, 4, 1)) == "accepted");
  REQUIRE(code(grey, Image{}) == "input.image");
  REQUIRE(code(grey, random_image(rng, 4, 4, 2)) == "input.image");
  Image image = random_image(rng, 4, 4, 1);
  image.samples.pop_back();
  REQUIRE(code(grey, image) == "input.image");
  image.width = image.height = std::int64_t{1} << 33;
  REQUIRE(code(grey, image) == "input.image");
  image.width = -4;
  REQUIRE(code(grey, image) == "input.image");
  REQUIRE(code(encoding_of({784, 1, 1}, "gray"), random_image(rng, 28, 28, 1)) == "input.encoding");
  REQUIRE(code(encoding_of({1, 4, 4}, "rgb"), random_image(rng, 4, 4, 3)) == "input.encoding");
  InputEncoding narrow = grey;
  narrow.high = 100;
  REQUIRE(code(narrow, make_image(4, 4, 1, [](auto, auto, auto) { return 101; })) == "input.range");
  REQUIRE(code(narrow, make_image(4, 4, 1, [](auto, auto, auto) { return 100; })) == "accepted");
}

TEST_CASE("an encoding survives its JSON, and damaged JSON is refused", "[models]") {
  test::SeededRng rng(86);
  for (int round = 0; round < 50; ++round) {
    InputEncoding encoding =
        encoding_of({3, rng.between(1, 300), rng.between(1, 300)}, round % 2 == 0 ? "rgb" : "bgr");
    encoding.invert = static_cast<InputEncoding::Invert>(round % 3);
    if (round % 4 == 0) {
      encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
      encoding.resize_shorter_side = rng.between(300, 400);
    }
    encoding.offset = {rng.between(-255, 255), rng.between(-255, 255), rng.between(-255, 255)};
    encoding.low = rng.between(INT64_MIN, 0);
    encoding.high = rng.between(1, INT64_MAX);
    const std::string json = encoding_to_json(encoding);
    const InputEncoding copy = encoding_from_json(json);
    REQUIRE(encoding_to_json(copy) == json);
    REQUIRE(copy.shape == encoding.shape);
    REQUIRE(copy.offset == encoding.offset);
    REQUIRE(copy.invert == encoding.invert);
    REQUIRE(copy.resize == encoding.resize);
    REQUIRE(copy.low == encoding.low);
    REQUIRE(copy.high == encoding.high);
    for (std::size_t cut = 0; cut < json.size(); ++cut) {
      REQUIRE_THROWS_AS(encoding_from_json(json.substr(0, cut)), InputError);
    }
  }
  const std::string good = encoding_to_json(encoding_of({1, 2, 2}, "gray"));
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string json = good;
    return json.replace(json.find(from), from.size(), to);
  };
  REQUIRE_NOTHROW(encoding_from_json(good));
  for (const std::string& json :
       {changed("[1,2,2]", "[1,2]"), changed("[1,2,2]", "[1,2,99999999999999999999]"),
        changed("[1,2,2]", "[1048576,65536,65536]"), changed("\"gray\"", "\"grey\""),
        changed("\"gray\"", "1"), changed("stretch", "squash"), changed("never", "sometimes"),
        changed("\"offset\":[0]", "\"offset\":[0,0]"), changed("\"offset\":[0]", "\"offset\":[1e3]"),
        changed("\"low\":0", "\"low\":256"), changed("\"low\":0,", ""),
        changed("\"low\":0", "\"low\":0,\"low\":1"), changed("\"low\":0", "\"low\":0,\"lower\":1"),
        good + " ]"}) {
    INFO(json);
    REQUIRE_THROWS_AS(encoding_from_json(json), InputError);
  }
}
