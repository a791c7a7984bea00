// How a picture must be turned to be seen as it was taken: the orientation of its EXIF data.
#pragma once

#include "base/bytes.h"
#include "models/input/input_encoding.h"

namespace popcorn::datasets {

/// 1 … 8 as EXIF 2.3 numbers them (tag 0x0112); 1, as stored, when `tiff` has none or is damaged. @param tiff
/// what follows "Exif\0\0" in a JPEG's APP1 segment, and the content of a PNG's eXIf chunk
unsigned exif_orientation(ByteView tiff);

/// The picture as it is meant to be seen. @param orientation 1 … 8
models::Image upright(models::Image image, unsigned orientation);

}  // namespace popcorn::datasets
