// Separable resampling of 8-bit pictures with a crop: area average down and linear up, or as Pillow does it.
#pragma once

#include <cstdint>
#include <vector>

namespace popcorn::models {

/// One axis of a resize: `source` samples become `scaled`, of which [first, first + count) are wanted.
struct ResizeAxis {
  std::int64_t source = 1;
  std::int64_t scaled = 1;
  std::int64_t first = 0;
  std::int64_t count = 1;
};

/// One channel, row-major, values 0…255 before and after (rounded to nearest). Down: each result is the mean
/// of the area it covers; up: linear between pixel centres, the edge repeated. An axis that keeps its size is
/// copied.
std::vector<std::uint8_t> resize_plane(const std::vector<std::uint8_t>& samples, const ResizeAxis& vertical,
                                       const ResizeAxis& horizontal);

/// The same with bilinear weights over the area that each result covers ("antialias"): the integers of
/// Pillow's Image.resize(…, BILINEAR) and of torchvision's resize of PIL pictures, bit for bit (8-bit passes,
/// horizontal first, weights of 22 bits). A picture that keeps both sizes is copied.
std::vector<std::uint8_t> resize_plane_bilinear(const std::vector<std::uint8_t>& samples,
                                                const ResizeAxis& vertical, const ResizeAxis& horizontal);

}  // namespace popcorn::models
