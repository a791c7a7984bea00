// From pen strokes to a grey picture, with the distortions of a hand.
#pragma once

#include <cstdint>
#include <vector>

#include "models/samples/glyphs.h"

namespace popcorn::samples {

struct Picture {
  int side = 0;
  std::vector<std::uint8_t> samples;  ///< side × side, row-major
};

struct Style {
  std::uint64_t seed = 0;  ///< of slant, rotation, proportions, pen width and the shaking of the hand
  int side = 28;           ///< pixels
  bool dark_on_light = false;
};

/// Draws with a round pen, anti-aliased. The digit fills 20/28 of the side and its centre of mass is in the
/// middle, as is usual for pictures of digits. Same glyph and style, same picture.
Picture draw(const Glyph& glyph, const Style& style);

}  // namespace popcorn::samples
