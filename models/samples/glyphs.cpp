#include "models/samples/glyphs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace popcorn::samples {

namespace {

constexpr int kSamplesPerSpan = 16;

/// A smooth curve through all points (Catmull–Rom; the first and the last point are doubled).
Stroke curve(const std::vector<Point>& through) {
  Stroke stroke;
  const auto at = [&](std::ptrdiff_t i) {
    return through[static_cast<std::size_t>(
        std::clamp<std::ptrdiff_t>(i, 0, static_cast<std::ptrdiff_t>(through.size()) - 1))];
  };
  for (std::ptrdiff_t i = 0; i + 1 < static_cast<std::ptrdiff_t>(through.size()); ++i) {
    const Point a = at(i - 1);
    const Point b = at(i);
    const Point c = at(i + 1);
    const Point d = at(i + 2);
    for (int k = 0; k < kSamplesPerSpan; ++k) {
      const double t = static_cast<double>(k) / kSamplesPerSpan;
      const auto blend = [t](double p, double q, double r, double s) {
        return 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t +
                      (3 * q - p - 3 * r + s) * t * t * t);
      };
      stroke.push_back({blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)});
    }
  }
  stroke.push_back(through.back());
  return stroke;
}

/// A closed ellipse that starts and ends at the top.
Stroke ellipse(Point center, double radius_x, double radius_y) {
  constexpr int kPoints = 64;
  Stroke stroke;
  for (int i = 0; i <= kPoints; ++i) {
    const double angle = 2 * std::numbers::pi * i / kPoints;
    stroke.push_back({center.x - radius_x * std::sin(angle), center.y - radius_y * std::cos(angle)});
  }
  return stroke;
}

Stroke lines(std::vector<Point> corners) {
  return corners;
}

}  // namespace

std::vector<Glyph> glyphs_of(int digit) {
  switch (digit) {
    case 0:
      return {{ellipse({0.3, 0.5}, 0.29, 0.5)},
              {curve({{0.36, 0.0},
                      {0.12, 0.16},
                      {0.02, 0.52},
                      {0.12, 0.9},
                      {0.34, 1.0},
                      {0.57, 0.82},
                      {0.6, 0.45},
                      {0.5, 0.12},
                      {0.33, 0.01}})}};
    case 1:
      return {{lines({{0.3, 0.0}, {0.3, 1.0}})}, {lines({{0.12, 0.2}, {0.32, 0.0}, {0.32, 1.0}})}};
    case 2:
      return {{curve({{0.06, 0.24},
                      {0.14, 0.06},
                      {0.34, 0.0},
                      {0.54, 0.12},
                      {0.54, 0.34},
                      {0.34, 0.66},
                      {0.04, 1.0}}),
               lines({{0.04, 1.0}, {0.64, 0.98}})},
              {curve({{0.04, 0.18},
                      {0.26, 0.0},
                      {0.5, 0.1},
                      {0.5, 0.4},
                      {0.26, 0.84},
                      {0.1, 0.98},
                      {0.06, 0.88},
                      {0.22, 0.84},
                      {0.42, 0.98},
                      {0.66, 0.94}})}};
    case 3:
      return {{curve({{0.06, 0.1}, {0.28, 0.0}, {0.5, 0.1}, {0.48, 0.34}, {0.22, 0.47}}),
               curve({{0.22, 0.47}, {0.52, 0.56}, {0.57, 0.82}, {0.32, 1.0}, {0.04, 0.92}})},
              {curve({{0.08, 0.06}, {0.36, 0.0}, {0.52, 0.18}, {0.4, 0.4}, {0.26, 0.46}}),
               curve({{0.26, 0.46}, {0.5, 0.54}, {0.56, 0.76}, {0.4, 0.97}, {0.16, 1.0}, {0.02, 0.88}})}};
    case 4:
      return {{lines({{0.1, 0.04}, {0.04, 0.52}, {0.6, 0.5}}), lines({{0.5, 0.0}, {0.47, 1.0}})},
              {curve({{0.12, 0.0}, {0.06, 0.3}, {0.1, 0.5}, {0.32, 0.54}, {0.54, 0.46}}),
               lines({{0.58, 0.0}, {0.5, 0.48}, {0.44, 1.0}})}};
    case 5:
      return {{lines({{0.58, 0.0}, {0.16, 0.02}, {0.11, 0.42}}),
               curve({{0.11, 0.42}, {0.34, 0.37}, {0.57, 0.54}, {0.55, 0.82}, {0.3, 1.0}, {0.02, 0.93}})},
              {lines({{0.2, 0.04}, {0.12, 0.46}}), lines({{0.2, 0.04}, {0.62, 0.0}}),
               curve({{0.12, 0.46}, {0.36, 0.42}, {0.54, 0.6}, {0.48, 0.86}, {0.26, 1.0}, {0.0, 0.95}})}};
    case 6:
      return {{curve({{0.46, 0.0},
                      {0.22, 0.22},
                      {0.06, 0.58},
                      {0.12, 0.9},
                      {0.34, 1.0},
                      {0.54, 0.84},
                      {0.48, 0.62},
                      {0.28, 0.56},
                      {0.1, 0.74}})},
              {curve({{0.36, 0.0},
                      {0.14, 0.3},
                      {0.05, 0.7},
                      {0.2, 0.97},
                      {0.44, 0.94},
                      {0.54, 0.72},
                      {0.38, 0.56},
                      {0.16, 0.66},
                      {0.08, 0.82}})}};
    case 7:
      return {{lines({{0.02, 0.04}, {0.58, 0.02}, {0.26, 1.0}})},
              {curve({{0.0, 0.12}, {0.06, 0.03}, {0.3, 0.06}, {0.56, 0.02}}),
               curve({{0.56, 0.02}, {0.4, 0.4}, {0.28, 0.72}, {0.24, 1.0}})}};
    case 8:
      return {{curve({{0.5, 0.12},
                      {0.3, 0.0},
                      {0.1, 0.14},
                      {0.2, 0.38},
                      {0.44, 0.58},
                      {0.52, 0.82},
                      {0.3, 1.0},
                      {0.08, 0.84},
                      {0.16, 0.6},
                      {0.42, 0.38},
                      {0.51, 0.14}})},
              {ellipse({0.31, 0.25}, 0.2, 0.25), ellipse({0.3, 0.74}, 0.25, 0.26)}};
    case 9:
      return {{curve({{0.52, 0.16}, {0.3, 0.0}, {0.08, 0.2}, {0.16, 0.46}, {0.4, 0.42}, {0.53, 0.18}}),
               curve({{0.53, 0.14}, {0.52, 0.56}, {0.44, 1.0}})},
              {ellipse({0.3, 0.24}, 0.22, 0.24), lines({{0.52, 0.2}, {0.5, 0.6}, {0.48, 1.0}})}};
    default:
      return {};
  }
}

}  // namespace popcorn::samples
