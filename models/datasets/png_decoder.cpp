#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "models/datasets/image_reading.h"
#include "models/datasets/orientation.h"
#include "models/datasets/picture_decoders.h"

namespace popcorn::datasets {

namespace {

constexpr std::size_t kSignatureBytes = 8;
constexpr std::size_t kHeaderBytes = 33;  // signature and IHDR
constexpr std::size_t kMostChunk = std::size_t{64} << 20;

struct Input {
  ByteView rest;
  char message[160];
};

void give_bytes(png_structp png, png_bytep out, png_size_t count) {
  auto* const input = static_cast<Input*>(png_get_io_ptr(png));
  if (count > input->rest.size()) png_error(png, "it ends early");
  std::memcpy(out, input->rest.data(), count);
  input->rest = input->rest.subspan(count);
}

void leave(png_structp png, png_const_charp message) {
  auto* const input = static_cast<Input*>(png_get_error_ptr(png));
  std::snprintf(input->message, sizeof input->message, "%s", message);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

/// Everything with a destructor lives outside of the functions that libpng jumps out of.
struct Decoder {
  Input input{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Decoder(ByteView file) {
    input.rest = file;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, leave, ignore_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool read_header(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_set_user_limits(decoder.png, static_cast<png_uint_32>(kMaxImageSide),
                      static_cast<png_uint_32>(kMaxImageSide));
  png_set_chunk_malloc_max(decoder.png, kMostChunk);
  png_set_chunk_cache_max(decoder.png, 1000);
  png_set_read_fn(decoder.png, &decoder.input, give_bytes);
  png_read_info(decoder.png, decoder.info);
  png_set_strip_16(decoder.png);
  png_set_expand(decoder.png);  // palettes, small greys, transparency of one colour
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  return true;
}

bool read_samples(Decoder& decoder, png_bytepp rows) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_read_image(decoder.png, rows);
  png_read_end(decoder.png, nullptr);
  return true;
}

std::uint32_t big_endian(ByteView bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

/// Of the eXIf chunk; the chunks were walked before.
unsigned orientation_of(ByteView file) {
  ByteView rest = file.subspan(kSignatureBytes);
  while (rest.size() >= 12) {
    const std::size_t length = big_endian(rest);
    if (length > rest.size() - 12) return 1;
    if (std::equal(rest.begin() + 4, rest.begin() + 8, "eXIf"))
      return exif_orientation(rest.subspan(8, length));
    rest = rest.subspan(12 + length);
  }
  return 1;
}

/// white · (1 − a) + sample · a, rounded.
std::vector<std::uint8_t> on_white(const std::vector<std::uint8_t>& samples, std::size_t colors) {
  const std::size_t pixels = samples.size() / (colors + 1);
  std::vector<std::uint8_t> flat(pixels * colors);
  for (std::size_t i = 0; i < pixels; ++i) {
    const std::uint8_t* const pixel = samples.data() + i * (colors + 1);
    const unsigned alpha = pixel[colors];
    for (std::size_t c = 0; c < colors; ++c)
      flat[i * colors + c] = static_cast<std::uint8_t>((255 * (255 - alpha) + pixel[c] * alpha + 127) / 255);
  }
  return flat;
}

}  // namespace

DecodedPicture decode_png(ByteView file, const std::string& name) {
  if (file.size() >= kHeaderBytes) {
    check_picture_size(name, std::int64_t{big_endian(file.subspan(16))},
                       std::int64_t{big_endian(file.subspan(20))});
  }
  Decoder decoder(file);
  if (decoder.info == nullptr) throw std::bad_alloc();
  if (!read_header(decoder)) fail_picture(name, decoder.input.message);
  DecodedPicture picture;
  const std::size_t width = png_get_image_width(decoder.png, decoder.info);
  const std::size_t height = png_get_image_height(decoder.png, decoder.info);
  const std::size_t channels = png_get_channels(decoder.png, decoder.info);
  const std::size_t row_bytes = png_get_rowbytes(decoder.png, decoder.info);
  if (row_bytes != width * channels || channels < 1 || channels > 4)
    fail_picture(name, "its samples have an unknown form");
  std::vector<std::uint8_t> samples(row_bytes * height);
  std::vector<png_bytep> rows(height);
  for (std::size_t row = 0; row < height; ++row) rows[row] = samples.data() + row * row_bytes;
  if (!read_samples(decoder, rows.data())) fail_picture(name, decoder.input.message);
  const std::size_t colors = channels <= 2 ? 1 : 3;
  picture.orientation = orientation_of(file);
  picture.image.width = static_cast<std::int64_t>(width);
  picture.image.height = static_cast<std::int64_t>(height);
  picture.image.channels = static_cast<std::int64_t>(colors);
  picture.image.samples = channels == colors ? std::move(samples) : on_white(samples, colors);
  return picture;
}

}  // namespace popcorn::datasets
