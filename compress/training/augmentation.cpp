#include "compress/training/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace popcorn::compress {

namespace {

/// Uniform in [−1, 1), the same on every platform (the distributions of <random> are not).
double symmetric(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-52 - 1;
}

double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

/// Roughly normal with deviation 1: three uniforms suffice here.
double bell(std::mt19937_64& random) {
  return symmetric(random) + symmetric(random) + symmetric(random);
}

constexpr int kControls = 6;

/// Where a coordinate lies between two control points: the first of them and a smoothstep from it to the
/// next.
struct Cell {
  std::size_t index;
  double t;
};

std::vector<Cell> cells(std::int64_t extent) {
  std::vector<Cell> result;
  for (std::int64_t i = 0; i < extent; ++i) {
    const double last = std::max(1.0, static_cast<double>(extent - 1));
    const double position = static_cast<double>(i) / last * (kControls - 1);
    const int index = std::clamp(static_cast<int>(position), 0, kControls - 2);
    const double t = position - index;
    result.push_back({static_cast<std::size_t>(index), t * t * (3 - 2 * t)});
  }
  return result;
}

/// A smooth displacement: random vectors on a coarse grid, interpolated with a smoothstep.
class ElasticField {
 public:
  ElasticField(double strength, std::mt19937_64& random) {
    for (auto& point : points_) point = strength * bell(random);
  }

  double at(const Cell& row, const Cell& column) const {
    const double* p = points_.data() + row.index * kControls + column.index;
    const double u = column.t, v = row.t;
    return (p[0] * (1 - u) + p[1] * u) * (1 - v) + (p[kControls] * (1 - u) + p[kControls + 1] * u) * v;
  }

 private:
  std::array<double, kControls * kControls> points_{};
};

struct Affine {
  double yy, yx, xy, xx, y, x;  // source = matrix · (target − centre) + centre + shift
};

/// Without any other distortion shifts stay whole pixels, so that nothing is blurred.
double random_shift(const Augmentation& s, std::mt19937_64& random) {
  const double shift = s.shift * symmetric(random);
  const bool resampled = s.rotation != 0 || s.scale != 0 || s.shear != 0 || s.elastic != 0;
  return resampled ? shift : std::round(shift);
}

Affine random_affine(const Augmentation& s, std::mt19937_64& random) {
  const double angle = s.rotation * symmetric(random) * std::numbers::pi / 180;
  const double tall = 1 + s.scale * symmetric(random);
  const double wide = 1 + s.scale * symmetric(random);
  const double shear = s.shear * symmetric(random);
  const double mirror = s.mirror && (random() >> 63) != 0 ? -1 : 1;
  const double c = std::cos(angle), d = std::sin(angle);
  return {c / tall,
          -d / wide * mirror,
          (d + shear * c) / tall,
          (c - shear * d) / wide * mirror,
          random_shift(s, random),
          random_shift(s, random)};
}

/// The pixel above and left of a point and how far the point is from it.
struct Place {
  std::int64_t row, column;
  float v, u;
};

/// std::floor, which is a call into a library on processors of the portable build.
std::int64_t floor_of(double x) {
  const auto whole = static_cast<std::int64_t>(x);
  return whole - (x < static_cast<double>(whole) ? 1 : 0);
}

Place place_of(double y, double x) {
  const std::int64_t row = floor_of(y), column = floor_of(x);
  return {row, column, static_cast<float>(y - static_cast<double>(row)),
          static_cast<float>(x - static_cast<double>(column))};
}

float between(float p00, float p01, float p10, float p11, const Place& at) {
  return (p00 * (1 - at.u) + p01 * at.u) * (1 - at.v) + (p10 * (1 - at.u) + p11 * at.u) * at.v;
}

float sample(std::span<const std::uint8_t> plane, std::int64_t height, std::int64_t width, const Place& at,
             float background) {
  if (at.row >= 0 && at.column >= 0 && at.row + 1 < height && at.column + 1 < width) {
    const std::uint8_t* p = plane.data() + at.row * width + at.column;
    return between(p[0], p[1], p[width], p[width + 1], at);
  }
  const auto pixel = [&](std::int64_t r, std::int64_t c) {
    if (r < 0 || r >= height || c < 0 || c >= width) return background;
    return static_cast<float>(plane[static_cast<std::size_t>(r * width + c)]);
  };
  return between(pixel(at.row, at.column), pixel(at.row, at.column + 1), pixel(at.row + 1, at.column),
                 pixel(at.row + 1, at.column + 1), at);
}

void erase_rectangle(const models::Shape& shape, float background, std::mt19937_64& random,
                     std::span<float> out) {
  const auto side = [&](std::int64_t length) {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>((0.15 + 0.3 * uniform(random)) * static_cast<double>(length)));
  };
  const std::int64_t height = side(shape.height), width = side(shape.width);
  const auto top =
      static_cast<std::int64_t>(uniform(random) * static_cast<double>(shape.height - height + 1));
  const auto left = static_cast<std::int64_t>(uniform(random) * static_cast<double>(shape.width - width + 1));
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    for (std::int64_t y = top; y < top + height; ++y) {
      const auto row = out.subspan(static_cast<std::size_t>((c * shape.height + y) * shape.width));
      std::fill_n(row.begin() + left, width, background);
    }
  }
}

}  // namespace

bool Augmentation::any() const noexcept {
  return shift != 0 || rotation != 0 || scale != 0 || shear != 0 || elastic != 0 || mirror || erase != 0;
}

Augmentation Augmentation::digits() {
  Augmentation s;
  s.shift = 2;
  s.rotation = 12;
  s.scale = 0.12;
  s.shear = 0.15;
  s.elastic = 0.8;
  return s;
}

Augmentation Augmentation::objects() {
  Augmentation s;
  s.shift = 4;
  s.mirror = true;
  return s;
}

Augmentation Augmentation::for_dataset(const std::string& dataset) {
  return dataset == "mnist" ? digits() : objects();
}

void augment(const Augmentation& settings, const models::Shape& shape, std::span<const std::uint8_t> picture,
             float background, std::mt19937_64& random, std::span<float> out) {
  const Affine a = random_affine(settings, random);
  const bool bend = settings.elastic != 0;
  const ElasticField bend_y(settings.elastic, random), bend_x(settings.elastic, random);
  const double centre_y = static_cast<double>(shape.height - 1) / 2,
               centre_x = static_cast<double>(shape.width - 1) / 2;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  const std::vector<Cell> rows = cells(bend ? shape.height : 0), columns = cells(bend ? shape.width : 0);
  std::size_t at = 0;
  for (std::int64_t row = 0; row < shape.height; ++row) {
    for (std::int64_t column = 0; column < shape.width; ++column, ++at) {
      const double y = static_cast<double>(row) - centre_y, x = static_cast<double>(column) - centre_x;
      double from_y = a.yy * y + a.yx * x + centre_y + a.y, from_x = a.xy * y + a.xx * x + centre_x + a.x;
      if (bend) {
        const Cell &v = rows[static_cast<std::size_t>(row)], &u = columns[static_cast<std::size_t>(column)];
        from_y += bend_y.at(v, u);
        from_x += bend_x.at(v, u);
      }
      const Place place = place_of(from_y, from_x);
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        const std::size_t offset = static_cast<std::size_t>(c) * plane;
        out[offset + at] =
            sample(picture.subspan(offset, plane), shape.height, shape.width, place, background);
      }
    }
  }
  if (settings.erase > 0 && uniform(random) < settings.erase) erase_rectangle(shape, background, random, out);
}

}  // namespace popcorn::compress
