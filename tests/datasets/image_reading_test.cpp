#include "models/datasets/image_reading.h"

#include <stb/stb_image_write.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/process.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::datasets {

namespace {

void append(void* context, void* data, int size) {
  auto& out = *static_cast<Bytes*>(context);
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

Bytes random_samples(std::size_t count) {
  test::SeededRng rng(count);
  Bytes samples(count);
  rng.fill(samples);
  return samples;
}

Bytes png(int width, int height, int channels, const Bytes& samples) {
  Bytes file;
  REQUIRE(stbi_write_png_to_func(append, &file, width, height, channels, samples.data(), width * channels) !=
          0);
  return file;
}

Bytes jpeg(int width, int height, const Bytes& samples) {
  Bytes file;
  REQUIRE(stbi_write_jpg_to_func(append, &file, width, height, 1, samples.data(), 95) != 0);
  return file;
}

Bytes text(const std::string& content) {
  return {content.begin(), content.end()};
}

}  // namespace

TEST_CASE("PNG pictures are read sample by sample", "[cli]") {
  for (const int channels : {1, 3}) {
    const Bytes samples = random_samples(static_cast<std::size_t>(7 * 5 * channels));
    const models::Image image = decode_image(png(7, 5, channels, samples), "x");
    CHECK(image.width == 7);
    CHECK(image.height == 5);
    CHECK(image.channels == channels);
    CHECK(image.samples == samples);
  }
}

TEST_CASE("Transparent pictures are laid on white", "[cli]") {
  const Bytes gray_alpha = {100, 255, 100, 0, 0, 128, 255, 77};
  const models::Image image = decode_image(png(2, 2, 2, gray_alpha), "x");
  CHECK(image.channels == 1);
  CHECK(image.samples == std::vector<std::uint8_t>{100, 255, 127, 255});
  CHECK(decode_image(png(1, 1, 4, {10, 20, 30, 255}), "x").samples == std::vector<std::uint8_t>{10, 20, 30});
}

TEST_CASE("JPEG pictures are read with small losses", "[cli]") {
  const models::Image image = decode_image(jpeg(16, 8, Bytes(128, 90)), "x");
  CHECK(image.width == 16);
  CHECK(image.height == 8);
  for (const std::uint8_t sample : image.samples) REQUIRE(std::abs(int{sample} - 90) <= 3);
}

TEST_CASE("PGM and PPM pictures are read, with comments and other ranges", "[cli]") {
  const models::Image gray = decode_image(text("P5\n# a comment\n2 2 # another\n255\n\x01\x02\x03\x04"), "x");
  CHECK(gray.samples == std::vector<std::uint8_t>{1, 2, 3, 4});
  const models::Image stretched = decode_image(text(std::string("P5 2 1 15\n\x0f\x03", 12)), "x");
  CHECK(stretched.samples == std::vector<std::uint8_t>{255, 51});
  const models::Image color = decode_image(text("P6 1 1 255 abc"), "x");
  CHECK(color.channels == 3);
  CHECK(color.samples == std::vector<std::uint8_t>{'a', 'b', 'c'});
}

TEST_CASE("Damaged PGM headers are refused", "[cli]") {
  for (const char* file :
       {"P5", "P5 ", "P5 2 2", "P5 2 2 255", "P5 2 2 255\n", "P5 2 2 255\nabc", "P5 0 2 255\nabcd",
        "P5 -1 2 255\nab", "P5 2 2 0\nabcd", "P5 2 2 65535\nabcdabcd", "P5 99999 99999 255\nabcd",
        "P5 9999999999 1 255\nabcd", "P5 2 2 255abcd", "P5 x 2 255\nabcd"}) {
    INFO(file);
    CHECK_THROWS_AS(decode_image(text(file), "x"), InputError);
  }
}

TEST_CASE("Cut pictures are refused at every length", "[cli]") {
  const Bytes samples = random_samples(15 * 11);
  for (const Bytes& whole : {png(15, 11, 1, samples), jpeg(15, 11, samples)}) {
    REQUIRE_NOTHROW(decode_image(whole, "x"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      REQUIRE_THROWS_AS(decode_image(ByteView(whole).first(size), "x"), InputError);
    }
  }
}

TEST_CASE("A PNG with any byte changed is refused", "[cli]") {
  const Bytes whole = png(9, 9, 1, random_samples(81));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Bytes changed = whole;
    changed[i] ^= 0x20;
    INFO(i);
    REQUIRE_THROWS_AS(decode_image(changed, "x"), InputError);
  }
}

TEST_CASE("A JPEG with changed bytes never ends the program", "[cli]") {
  const Bytes whole = jpeg(24, 24, random_samples(576));
  test::SeededRng rng(5);
  for (int round = 0; round < 2000; ++round) {
    Bytes changed = whole;
    for (int k = 0; k < 3; ++k)
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.below(256));
    try {
      const models::Image image = decode_image(changed, "x");
      REQUIRE(image.samples.size() == static_cast<std::size_t>(image.width * image.height * image.channels));
    } catch (const InputError&) {
      SUCCEED();
    }
  }
}

TEST_CASE("A picture that is too large is refused by its header", "[cli]") {
  const Bytes wide = png(9000, 1, 1, Bytes(9000, 0));
  CHECK_THROWS_WITH(decode_image(wide, "wide.png"), Catch::Contains("wide.png") && Catch::Contains("9000x1"));
}

TEST_CASE("Other files are refused with their name", "[cli]") {
  CHECK_THROWS_WITH(decode_image(text("GIF89a"), "a.gif"), Catch::Contains("a.gif"));
  CHECK_THROWS_AS(decode_image({}, "x"), InputError);
  const test::TemporaryFolder folder;
  CHECK_THROWS_AS(read_image(folder.path("absent.png")), IoError);
  write_file(folder.path("ok.png"), png(2, 1, 1, {1, 2}));
  CHECK(read_image(folder.path("ok.png")).samples == std::vector<std::uint8_t>{1, 2});
}

}  // namespace popcorn::datasets
