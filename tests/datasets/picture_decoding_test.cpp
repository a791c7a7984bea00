// Decoding and resizing against Pillow's pixels (tests/data/pictures), orientation, hostile files.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/datasets/image_reading.h"
#include "models/datasets/orientation.h"
#include "models/input/image_resize.h"
#include "models/input/input_encoding.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::datasets {

namespace {

const std::string kFolder = "tests/data/pictures/";

void check_equal(const models::Image& found, const models::Image& expected) {
  CHECK(found.width == expected.width);
  CHECK(found.height == expected.height);
  CHECK(found.channels == expected.channels);
  CHECK(found.samples == expected.samples);
}

}  // namespace

TEST_CASE("Pictures have the pixels that training pipelines see") {
  for (const auto& [file, pixels] :
       std::vector<std::pair<std::string, std::string>>{{"color.jpg", "ppm"},
                                                        {"progressive.jpg", "ppm"},
                                                        {"gray.jpg", "pgm"},
                                                        {"palette.png", "ppm"},
                                                        {"color.png", "ppm"}}) {
    INFO(file);
    check_equal(read_image(kFolder + file), read_image(kFolder + file + "." + pixels));
  }
}

TEST_CASE("All orientations are applied, and ignored when asked") {
  const models::Image wanted = read_image(kFolder + "upright.pgm");
  for (unsigned orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    const std::string stem = kFolder + "oriented" + std::to_string(orientation);
    const Picture png = read_picture(stem + ".png");
    CHECK(png.orientation == orientation);
    check_equal(png.image, wanted);
    const Picture stored = read_picture(stem + ".png", Orientation::ignore);
    CHECK(stored.orientation == orientation);
    CHECK((stored.image.samples == wanted.samples) == (orientation == 1));
    const Picture jpeg = read_picture(stem + ".jpg");
    CHECK(jpeg.orientation == orientation);
    REQUIRE(jpeg.image.width == 16 * wanted.width);
    REQUIRE(jpeg.image.height == 16 * wanted.height);
    for (std::int64_t row = 0; row < wanted.height; ++row) {
      for (std::int64_t column = 0; column < wanted.width; ++column) {
        const int found =
            jpeg.image.samples[static_cast<std::size_t>((16 * row + 8) * jpeg.image.width + 16 * column + 8)];
        CHECK(std::abs(found - wanted.samples[static_cast<std::size_t>(row * wanted.width + column)]) <= 3);
      }
    }
  }
}

TEST_CASE("Damaged EXIF data mean: as stored") {
  const Bytes little = from_hex("49492a00080000000100120103000100000006000000");
  CHECK(exif_orientation(little) == 6);
  CHECK(exif_orientation(from_hex("4d4d002a000000080001011200030000000100080000")) == 8);
  for (std::size_t size = 0; size < little.size() - 2; ++size)
    CHECK(exif_orientation(ByteView(little).first(size)) == 1);
  test::SeededRng rng(3);
  for (int round = 0; round < 3000; ++round) {
    Bytes changed = little;
    for (int k = 0; k < 3; ++k)
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    const unsigned orientation = exif_orientation(changed);
    REQUIRE(orientation >= 1);
    REQUIRE(orientation <= 8);
  }
}

TEST_CASE("The bilinear filter gives Pillow's integers") {
  const models::Image noise = read_image(kFolder + "noise.pgm");
  for (const auto& [width, height] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {28, 28}, {7, 5}, {100, 90}, {61, 20}, {90, 43}, {224, 13}}) {
    INFO(width << "x" << height);
    const models::Image wanted =
        read_image(kFolder + "noise_" + std::to_string(width) + "x" + std::to_string(height) + ".pgm");
    CHECK(models::resize_plane_bilinear(noise.samples, {noise.height, height, 0, height},
                                        {noise.width, width, 0, width}) == wanted.samples);
  }
  models::InputEncoding encoding;
  encoding.shape = {1, 32, 32};
  encoding.offset = {0};
  encoding.resize = models::InputEncoding::Resize::shorter_side_then_center_crop;
  encoding.resize_shorter_side = 32;
  encoding.filter = models::InputEncoding::Filter::bilinear;
  const models::Image cropped = read_image(kFolder + "noise_shorter32_crop32.pgm");
  const WideVector found = models::encode_image(encoding, noise);
  for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found.to_int64(i) == cropped.samples[i]);

  const std::string json = models::encoding_to_json(encoding);
  CHECK(json.find("\"filter\":\"bilinear\"") != std::string::npos);
  CHECK(models::encoding_from_json(json).filter == encoding.filter);
  encoding.filter = models::InputEncoding::Filter::box;
  CHECK(models::encoding_to_json(encoding).find("filter") == std::string::npos);
}

TEST_CASE("Changed and cut pictures never end the program") {
  test::SeededRng rng(4);
  for (const char* const file :
       {"color.jpg", "progressive.jpg", "palette.png", "oriented6.jpg", "oriented6.png"}) {
    const Bytes whole = read_file(kFolder + file, kMaxImageFileBytes);
    for (int round = 0; round < 400; ++round) {
      Bytes changed = whole;
      if (round % 4 == 0) changed.resize(rng.below(changed.size()));
      for (int k = 0; k < 3 && !changed.empty(); ++k)
        changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
      try {
        const models::Image image = decode_image(changed, "x");
        REQUIRE(image.samples.size() ==
                static_cast<std::size_t>(image.width * image.height * image.channels));
      } catch (const InputError&) {
      }
    }
  }
}

TEST_CASE("A PNG that claims to be huge says its size and the limit") {
  // 60000 x 60000, with a right checksum and nothing behind it.
  const Bytes header = from_hex(
      "89504e470d0a1a0a0000000d494844520000ea600000ea6008020000000fb0e2150000001149444154789c63601805a360140c"
      "77000003e80001b3a6"
      "d3460000000049454e44ae426082");
  CHECK_THROWS_WITH(decode_image(header, "huge.png"),
                    Catch::Contains("60000x60000") && Catch::Contains("8192 a side"));
}

}  // namespace popcorn::datasets
