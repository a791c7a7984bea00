#include "protocols/shares/layer/layout.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "models/network/sliding_window.h"

namespace popcorn::protocols::shares {

using models::Axis;

namespace {

Axis rows_of(const WeightedLayer& layer) {
  return models::vertical_axis(layer.window, layer.input, layer.output);
}
Axis columns_of(const WeightedLayer& layer) {
  return models::horizontal_axis(layer.window, layer.input, layer.output);
}

/// A tap of an axis on the plane of its phase: input o·stride − pad + k·dilation = (o + offset)·stride +
/// phase.
struct PhaseTap {
  std::int64_t phase;
  std::int64_t offset;
};
PhaseTap phase_tap(const Axis& axis, std::int64_t tap) {
  const std::int64_t start = axis.input_at(0, tap);
  const std::int64_t offset = Axis::floor_div(start, axis.stride);
  return {start - offset * axis.stride, offset};
}

/// The shortest row of a phase plane in which no tap runs into another row's cells: columns past the end of a
/// row are those before the next row, and must be zeros wherever they are read.
std::int64_t phase_pitch(const Axis& columns) {
  std::int64_t pitch = columns.output;
  for (std::int64_t tap = 0; tap < columns.kernel; ++tap) {
    const PhaseTap place = phase_tap(columns, tap);
    const std::int64_t cells = Axis::ceil_div(columns.input - place.phase, columns.stride);
    pitch = std::max(pitch, place.offset < 0 ? cells - place.offset : columns.output + place.offset);
  }
  return pitch;
}

}  // namespace

std::size_t most_slots(unsigned slot_bits, unsigned key_bits) noexcept {
  return key_bits <= kUnusedBits ? 0 : (key_bits - kUnusedBits) / slot_bits;
}

WindowGeometry window_geometry(const WeightedLayer& layer, LayoutChoice::Planes planes) {
  check_layer(layer);
  const Axis rows = rows_of(layer);
  const Axis columns = columns_of(layer);
  const bool by_phase = planes == LayoutChoice::Planes::phases;
  WindowGeometry geometry;
  geometry.pitch = by_phase ? phase_pitch(columns) : columns.output;
  geometry.places = static_cast<std::size_t>((rows.output - 1) * geometry.pitch + columns.output);
  for (std::int64_t row = 0; row < rows.kernel; ++row) {
    const PhaseTap vertical = phase_tap(rows, row);
    for (std::int64_t column = 0; column < columns.kernel; ++column) {
      const PhaseTap horizontal = phase_tap(columns, column);
      const std::int64_t column_offset = by_phase ? horizontal.phase : columns.input_at(0, column);
      const auto known = std::ranges::find_if(geometry.planes, [&](const InputPlane& plane) {
        return plane.row_phase == vertical.phase && plane.column_offset == column_offset;
      });
      WindowTap& tap = geometry.taps.emplace_back();
      tap.plane = static_cast<std::size_t>(known - geometry.planes.begin());
      tap.displacement = vertical.offset * geometry.pitch + (by_phase ? horizontal.offset : 0);
      if (known == geometry.planes.end()) geometry.planes.push_back({vertical.phase, column_offset, {}, 0});
    }
  }
  return geometry;
}

PackedLayout::PackedLayout(const WeightedLayer& layer, unsigned key_bits, const LayoutChoice& choice)
    : layer_(layer), choice_(choice), key_bits_(key_bits), geometry_(window_geometry(layer, choice.planes)) {
  if (choice_.segments > 0) {
    length_ = ceil_div(geometry_.places, choice_.segments);
    find_segments();
  }
  const bool is_split = choice_.inputs_together > 1 || choice_.outputs_together > 1;
  if (choice_.segments == 0 || choice_.inputs_together == 0 || choice_.outputs_together == 0 ||
      (is_split && choice_.segments > 1) || slots() > most_slots(layer_.slot_bits, key_bits_)) {
    throw Error("layout.choice", "layer \"" + layer_.name +
                                     "\" cannot be packed that way into plaintexts of " +
                                     std::to_string(key_bits_) + " bits");
  }
}

/// Sets τ and ρ of all taps; `advance` moves the displacements at which τ grows. Returns the segments that
/// are read then.
std::size_t PackedLayout::split_displacements(std::int64_t lowest, std::int64_t advance) {
  const auto segments = static_cast<std::int64_t>(choice_.segments);
  const auto most = static_cast<std::int64_t>(choice_.steps);
  for (WindowTap& tap : geometry_.taps) {
    const std::int64_t steps = std::min(most, (tap.displacement - lowest + advance) / segments);
    tap.steps = static_cast<std::size_t>(steps);
    tap.residual = tap.displacement - steps * segments;
  }
  std::size_t count = 0;
  for (std::size_t plane = 0; plane < geometry_.planes.size(); ++plane) {
    std::vector<std::int64_t> starts;
    for (const WindowTap& tap : geometry_.taps) {
      if (tap.plane == plane) starts.push_back(tap.residual);
    }
    std::ranges::sort(starts);
    std::vector<std::int64_t>& read = geometry_.planes[plane].segments;
    read.clear();
    for (const std::int64_t start : starts) {
      const std::int64_t first = read.empty() ? start : std::max(start, read.back() + 1);
      for (std::int64_t segment = first; segment < start + segments; ++segment) read.push_back(segment);
    }
    geometry_.planes[plane].first = count;
    count += read.size();
  }
  return count;
}

void PackedLayout::find_segments() {
  constexpr std::int64_t kTrials = 4;
  const auto segments = static_cast<std::int64_t>(choice_.segments);
  const std::int64_t lowest = std::ranges::min(geometry_.taps, {}, &WindowTap::displacement).displacement;
  std::int64_t best = 0;
  for (std::int64_t trial = 0; trial < (choice_.steps == 0 ? 1 : kTrials); ++trial) {
    const std::size_t count = split_displacements(lowest, trial * segments / kTrials);
    if (trial == 0 || count < group_inputs_) {
      group_inputs_ = count;
      best = trial * segments / kTrials;
    }
  }
  split_displacements(lowest, best);
  choice_.steps = std::ranges::max(geometry_.taps, {}, &WindowTap::steps).steps;
  step_ = 0;
  for (const WindowTap& tap : geometry_.taps) step_ = std::gcd(step_, choice_.steps - tap.steps);
  step_ = std::max<std::size_t>(step_, 1);
}

std::size_t PackedLayout::input_groups() const noexcept {
  return ceil_div(static_cast<std::size_t>(layer_.input.channels), choice_.inputs_together);
}

std::size_t PackedLayout::output_groups() const noexcept {
  return ceil_div(static_cast<std::size_t>(layer_.output.channels), choice_.outputs_together);
}

std::size_t PackedLayout::input_place(std::size_t plane, std::int64_t segment) const {
  const InputPlane& where = geometry_.planes[plane];
  const auto found = std::ranges::lower_bound(where.segments, segment);
  if (found == where.segments.end() || *found != segment) {
    throw Error("layout.segment", "segment " + std::to_string(segment) + " is read by no tap");
  }
  return where.first + static_cast<std::size_t>(found - where.segments.begin());
}

PackedLayout::Place PackedLayout::output_place(std::int64_t channel, std::int64_t y,
                                               std::int64_t x) const noexcept {
  const auto output = static_cast<std::size_t>(channel);
  const auto place = static_cast<std::size_t>(y * geometry_.pitch + x);
  const std::size_t together = choice_.inputs_together;
  const std::size_t block_place = output % choice_.outputs_together * together + together - 1;
  return {output / choice_.outputs_together * segments() + place % segments(),
          block_place * block() + choice_.steps + place / segments()};
}

}  // namespace popcorn::protocols::shares
