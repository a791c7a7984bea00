// One axis (height or width) of a sliding window: which inputs, taps and outputs meet.
//
// Output o and tap k meet at input o·stride − pad_before + k·dilation; outside [0, input) lies the padding.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/network/integer_network.h"

namespace popcorn::models {

/// Half-open range; empty when end <= begin.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const noexcept { return std::max<std::int64_t>(end - begin, 0); }
};

struct Axis {
  std::int64_t input = 1;
  std::int64_t output = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t pad_before = 0;
  std::int64_t dilation = 1;

  std::int64_t input_at(std::int64_t out, std::int64_t tap) const noexcept {
    return out * stride - pad_before + tap * dilation;
  }
  /// Outputs for which the tap lies inside the input.
  Range outputs_of_tap(std::int64_t tap) const noexcept {
    const std::int64_t shift = pad_before - tap * dilation;
    return {std::max<std::int64_t>(0, ceil_div(shift, stride)),
            std::min(output, floor_div(input - 1 + shift, stride) + 1)};
  }
  /// Taps that lie inside the input for one output.
  Range taps_of_output(std::int64_t out) const noexcept {
    const std::int64_t start = out * stride - pad_before;
    return {std::max<std::int64_t>(0, ceil_div(-start, dilation)),
            std::min(kernel, floor_div(input - 1 - start, dilation) + 1)};
  }
  /// Fewest and most taps inside the input over all outputs.
  Range taps_inside() const noexcept {
    Range counts{kernel, 0};
    for (std::int64_t out = 0; out < output; ++out) {
      const std::int64_t inside = taps_of_output(out).size();
      counts = {std::min(counts.begin, inside), std::max(counts.end, inside)};
    }
    return counts;
  }

  static std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b - ((a % b != 0 && a < 0) ? 1 : 0);
  }
  static std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b + ((a % b != 0 && a > 0) ? 1 : 0);
  }
};

/// Outputs of a window along an axis; 0 when the window does not fit. Arguments are within Limits::kExtent.
inline std::int64_t window_outputs(std::int64_t input, std::int64_t kernel, std::int64_t stride,
                                   std::int64_t pad_before, std::int64_t pad_after, std::int64_t dilation) {
  const std::int64_t room = input + pad_before + pad_after - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

inline Axis vertical_axis(const Window& window, const Shape& input, const Shape& output) {
  return {input.height,         output.height,  window.kernel_height,
          window.stride_height, window.pad_top, window.dilation_height};
}

inline Axis horizontal_axis(const Window& window, const Shape& input, const Shape& output) {
  return {input.width,         output.width,    window.kernel_width,
          window.stride_width, window.pad_left, window.dilation_width};
}

}  // namespace popcorn::models
