#include "models/samples/drawing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <random>

namespace popcorn::samples {

namespace {

constexpr double kFilledShare = 20.0 / 28.0;

/// Uniform numbers that are the same with every standard library (its distributions are not).
class Hand {
 public:
  explicit Hand(std::uint64_t seed) : engine_(seed) {}
  double between(double low, double high) {
    constexpr double kUnit = 1.0 / 9007199254740992.0;  // 2^-53
    return low + (high - low) * static_cast<double>(engine_() >> 11) * kUnit;
  }

 private:
  std::mt19937_64 engine_;
};

/// Slant, rotation, proportions, and a slow wobble along each stroke.
Glyph distorted(const Glyph& glyph, Hand& hand) {
  const double slant = hand.between(-0.08, 0.32);
  const double angle = hand.between(-6.0, 6.0) * std::numbers::pi / 180;
  const double stretch = hand.between(0.88, 1.12);
  Glyph result;
  for (const Stroke& stroke : glyph) {
    const double wobble = hand.between(0.0, 0.022);
    const double phase_x = hand.between(0, 2 * std::numbers::pi);
    const double phase_y = hand.between(0, 2 * std::numbers::pi);
    Stroke moved;
    for (const Point& point : stroke) {
      const double x = stretch * point.x + slant * (0.5 - point.y) + wobble * std::sin(7 * point.y + phase_x);
      const double y = point.y + wobble * std::sin(7 * point.x + phase_y);
      moved.push_back({x * std::cos(angle) - y * std::sin(angle), x * std::sin(angle) + y * std::cos(angle)});
    }
    result.push_back(std::move(moved));
  }
  return result;
}

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length2 = dx * dx + dy * dy;
  const double t = length2 == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

double distance_to_glyph(Point p, const Glyph& glyph) {
  double nearest = std::numeric_limits<double>::max();
  for (const Stroke& stroke : glyph) {
    for (std::size_t i = 0; i + 1 < stroke.size(); ++i) {
      nearest = std::min(nearest, distance_to_segment(p, stroke[i], stroke[i + 1]));
    }
  }
  return nearest;
}

/// Moves and scales all points: p ← scale · (p − from) + to.
void place(Glyph& glyph, Point from, double scale, Point to) {
  for (Stroke& stroke : glyph) {
    for (Point& point : stroke)
      point = {scale * (point.x - from.x) + to.x, scale * (point.y - from.y) + to.y};
  }
}

/// To pixels: the bounding box, pen included, is as large as kFilledShare of the side and in the middle.
void fit(Glyph& glyph, double pen_share, int side) {
  Point low{std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
  Point high{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::lowest()};
  for (const Stroke& stroke : glyph) {
    for (const Point& point : stroke) {
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
  }
  const double extent = std::max(high.x - low.x, high.y - low.y);
  const double filled = kFilledShare * side;
  const double scale = filled * (1 - pen_share) / extent;
  place(glyph, {(low.x + high.x) / 2, (low.y + high.y) / 2}, scale, {side / 2.0, side / 2.0});
}

/// Share of each pixel that is covered by ink.
std::vector<double> coverage(const Glyph& glyph, double pen_pixels, int side) {
  std::vector<double> ink;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double distance = distance_to_glyph({x + 0.5, y + 0.5}, glyph);
      ink.push_back(std::clamp(0.5 + pen_pixels / 2 - distance, 0.0, 1.0));
    }
  }
  return ink;
}

Point center_of_mass(const std::vector<double>& ink, int side) {
  double mass = 0;
  Point center;
  auto pixel = ink.begin();
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x, ++pixel) {
      mass += *pixel;
      center.x += (x + 0.5) * *pixel;
      center.y += (y + 0.5) * *pixel;
    }
  }
  return {center.x / mass, center.y / mass};
}

}  // namespace

Picture draw(const Glyph& glyph, const Style& style) {
  Hand hand(style.seed);
  Glyph placed = distorted(glyph, hand);
  const double pen_share = hand.between(0.11, 0.16);  // of the digit's extent
  const double darkness = hand.between(0.92, 1.0);
  fit(placed, pen_share, style.side);
  const double pen_pixels = pen_share * kFilledShare * style.side;
  const double middle = style.side / 2.0;
  place(placed, center_of_mass(coverage(placed, pen_pixels, style.side), style.side), 1.0, {middle, middle});

  Picture picture;
  picture.side = style.side;
  for (const double ink : coverage(placed, pen_pixels, style.side)) {
    const double level = 255 * darkness * ink;
    picture.samples.push_back(
        static_cast<std::uint8_t>(std::lround(style.dark_on_light ? 255 - level : level)));
  }
  return picture;
}

}  // namespace popcorn::samples
