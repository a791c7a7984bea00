#include <csetjmp>
#include <cstddef>
#include <cstdio>
// libjpeg needs size_t and FILE declared first.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <vector>

#include "models/datasets/orientation.h"
#include "models/datasets/picture_decoders.h"

namespace popcorn::datasets {

namespace {

constexpr unsigned kMostSegment = 0xffff;
/// Progressive files may ask for a pass over the picture with every few bytes.
constexpr int kMostScans = 200;

/// What libjpeg calls back with; errors leave through the jump.
struct Errors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool cut;
};

void leave(j_common_ptr info) {
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void note_warning(j_common_ptr info, int level) {
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  if (level < 0 && (info->err->msg_code == JWRN_HIT_MARKER || info->err->msg_code == JWRN_JPEG_EOF))
    errors->cut = true;
}

void be_silent(j_common_ptr) {}

struct Watch {
  jpeg_progress_mgr manager;
  Errors* errors;
};

void limit_scans(j_common_ptr info) {
  auto* const watch = reinterpret_cast<Watch*>(info->progress);
  if (info->is_decompressor == FALSE ||
      reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans)
    return;
  std::snprintf(watch->errors->message, sizeof watch->errors->message, "it has more than %d scans",
                kMostScans);
  std::longjmp(watch->errors->jump, 1);
}

/// Everything with a destructor lives outside of the functions that libjpeg jumps out of.
struct Decoder {
  jpeg_decompress_struct info{};
  Errors errors{};
  Watch watch{};
  bool created = false;

  Decoder() {
    info.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = leave;
    errors.manager.emit_message = note_warning;
    errors.manager.output_message = be_silent;
    watch.manager.progress_monitor = limit_scans;
    watch.errors = &errors;
  }
  ~Decoder() {
    if (created) jpeg_destroy_decompress(&info);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool read_header(Decoder& decoder, const unsigned char* data, std::size_t size) {
  if (setjmp(decoder.errors.jump) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.created = true;
  decoder.info.progress = &decoder.watch.manager;
  jpeg_mem_src(&decoder.info, data, static_cast<unsigned long>(size));
  jpeg_save_markers(&decoder.info, JPEG_APP0 + 1, kMostSegment);
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

bool read_samples(Decoder& decoder, unsigned char* samples, std::size_t row_bytes) {
  if (setjmp(decoder.errors.jump) != 0) return false;
  jpeg_start_decompress(&decoder.info);
  while (decoder.info.output_scanline < decoder.info.output_height) {
    unsigned char* row = samples + decoder.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

unsigned orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::array<std::uint8_t, 6> kExif = {'E', 'x', 'i', 'f', 0, 0};
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const ByteView content(marker->data, marker->data_length);
    if (marker->marker != JPEG_APP0 + 1 || content.size() < kExif.size()) continue;
    if (std::equal(kExif.begin(), kExif.end(), content.begin()))
      return exif_orientation(content.subspan(kExif.size()));
  }
  return 1;
}

}  // namespace

DecodedPicture decode_jpeg(ByteView file, const std::string& name) {
  Decoder decoder;
  if (!read_header(decoder, file.data(), file.size())) fail_picture(name, decoder.errors.message);
  check_picture_size(name, decoder.info.image_width, decoder.info.image_height);
  const bool grey = decoder.info.jpeg_color_space == JCS_GRAYSCALE;
  if (decoder.info.jpeg_color_space == JCS_CMYK || decoder.info.jpeg_color_space == JCS_YCCK)
    fail_picture(name, "it is a CMYK picture, made for print; convert it to RGB");
  decoder.info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  DecodedPicture picture;
  picture.orientation = orientation_of(decoder.info);
  picture.image.width = decoder.info.image_width;
  picture.image.height = decoder.info.image_height;
  picture.image.channels = grey ? 1 : 3;
  const std::size_t row_bytes = static_cast<std::size_t>(picture.image.width * picture.image.channels);
  picture.image.samples.resize(row_bytes * static_cast<std::size_t>(picture.image.height));
  if (!read_samples(decoder, picture.image.samples.data(), row_bytes))
    fail_picture(name, decoder.errors.message);
  if (decoder.errors.cut) fail_picture(name, "it ends early");
  return picture;
}

}  // namespace popcorn::datasets
