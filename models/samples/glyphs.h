// The ten digits as pen strokes, before any distortion.
#pragma once

#include <string>
#include <vector>

namespace popcorn::samples {

struct Point {
  double x = 0;
  double y = 0;  ///< downwards
};

/// A polyline; curves are sampled finely.
using Stroke = std::vector<Point>;
using Glyph = std::vector<Stroke>;

/// Ways of writing one digit, in a box about 0.6 wide and 1 high. digit in [0, 9].
std::vector<Glyph> glyphs_of(int digit);

}  // namespace popcorn::samples
