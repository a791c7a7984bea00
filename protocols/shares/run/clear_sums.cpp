#include "protocols/shares/run/clear_sums.h"

#include <algorithm>

#include "base/parallel.h"
#include "models/network/sliding_window.h"
#include "protocols/shares/run/clear_sums_loop.h"

namespace popcorn::protocols::shares {

namespace {

using models::Axis;

/// Words of an output that stay in the first cache while all its taps are added.
constexpr std::size_t kBlock = 4096;

const ClearLoops& loops() {
  static const ClearLoops& chosen = []() -> const ClearLoops& {
    static const ClearLoops portable{"portable", add_scaled_loop, product_loop};
#ifdef POPCORN_HAVE_TRANSFER_KERNELS
    if (__builtin_cpu_supports("avx512f")) return clear_loops_avx512();
    if (__builtin_cpu_supports("avx2")) return clear_loops_avx2();
#endif
    return portable;
  }();
  return chosen;
}

std::size_t last_tap(const Axis& axis) {
  return static_cast<std::size_t>((axis.kernel - 1) * axis.dilation / axis.stride);
}

}  // namespace

const char* ClearSums::kernel() noexcept {
  return loops().name;
}

ClearSums::ClearSums(const models::Node& node, const models::Shape& input) : node_(node), input_(input) {
  for (std::size_t c = 0; c < node.bias.size(); ++c)
    bias_.push_back(static_cast<std::uint32_t>(node.bias[c].front()));
  if (node.kind == models::NodeKind::dense) return;
  const Axis rows = models::vertical_axis(node.window, input, node.shape);
  const Axis columns = models::horizontal_axis(node.window, input, node.shape);
  height_ = static_cast<std::size_t>(rows.output) + last_tap(rows);
  width_ = static_cast<std::size_t>(columns.output) + last_tap(columns);
  for (std::int64_t i = 0; i < rows.kernel; ++i) {
    for (std::int64_t j = 0; j < columns.kernel; ++j) {
      const std::int64_t down = i * rows.dilation, across = j * columns.dilation;
      const auto plane =
          static_cast<std::size_t>(down % rows.stride * columns.stride + across % columns.stride);
      taps_.push_back((plane * height_ + static_cast<std::size_t>(down / rows.stride)) * width_ +
                      static_cast<std::size_t>(across / columns.stride));
    }
  }
}

ot::Words ClearSums::operator()(const ot::Words& share) const {
  return node_.kind == models::NodeKind::dense ? dense(share) : convolution(share);
}

ot::Words ClearSums::dense(const ot::Words& share) const {
  ot::Words result(bias_);
  parallel_ranges(result.size(), 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      result[i] += loops().product(node_.weights.data() + i * share.size(), share.data(), share.size());
  });
  return result;
}

ot::Words ClearSums::planes(const ot::Words& share) const {
  const Axis rows = models::vertical_axis(node_.window, input_, node_.shape);
  const Axis columns = models::horizontal_axis(node_.window, input_, node_.shape);
  const auto residues = static_cast<std::size_t>(rows.stride * columns.stride);
  ot::Words result(static_cast<std::size_t>(input_.channels) * residues * height_ * width_);
  parallel_indices(static_cast<std::size_t>(input_.channels), [&](std::size_t c) {
    const std::uint32_t* from = share.data() + c * static_cast<std::size_t>(input_.height * input_.width);
    for (std::int64_t y = 0; y < input_.height; ++y, from += input_.width) {
      const std::int64_t down = y + rows.pad_before;
      const auto line = static_cast<std::size_t>(down / rows.stride);
      if (line >= height_) break;
      for (std::int64_t x = 0; x < input_.width; ++x) {
        const std::int64_t across = x + columns.pad_before;
        const auto place = static_cast<std::size_t>(across / columns.stride);
        if (place >= width_) break;
        const auto plane =
            static_cast<std::size_t>(down % rows.stride * columns.stride + across % columns.stride);
        result[((c * residues + plane) * height_ + line) * width_ + place] = from[x];
      }
    }
  });
  return result;
}

void ClearSums::channel(std::size_t output, const ot::Words& planes, std::uint32_t* out) const {
  const std::size_t per_channel = planes.size() / static_cast<std::size_t>(input_.channels);
  const auto inputs = static_cast<std::size_t>(input_.channels / node_.groups);
  const std::size_t outputs = static_cast<std::size_t>(node_.shape.channels / node_.groups);
  const std::uint32_t* const from = planes.data() + output / outputs * inputs * per_channel;
  const std::int32_t* const weights = node_.weights.data() + output * inputs * taps_.size();
  const auto columns = static_cast<std::size_t>(node_.shape.width);
  const std::size_t run = (static_cast<std::size_t>(node_.shape.height) - 1) * width_ + columns;
  ot::Words sums(run, bias_[output]);
  for (std::size_t begin = 0; begin < run; begin += kBlock) {
    const std::size_t count = std::min(kBlock, run - begin);
    for (std::size_t c = 0; c < inputs; ++c) {
      for (std::size_t k = 0; k < taps_.size(); ++k) {
        const std::int32_t weight = weights[c * taps_.size() + k];
        if (weight == 0) continue;
        loops().add_scaled(sums.data() + begin, from + c * per_channel + taps_[k] + begin,
                           static_cast<std::uint32_t>(weight), count);
      }
    }
  }
  for (std::int64_t row = 0; row < node_.shape.height; ++row)
    std::copy_n(sums.data() + static_cast<std::size_t>(row) * width_, columns,
                out + static_cast<std::size_t>(row) * columns);
}

ot::Words ClearSums::convolution(const ot::Words& share) const {
  const ot::Words read = planes(share);
  ot::Words result(static_cast<std::size_t>(node_.shape.size()));
  const auto plane = static_cast<std::size_t>(node_.shape.height * node_.shape.width);
  parallel_indices(static_cast<std::size_t>(node_.shape.channels),
                   [&](std::size_t output) { channel(output, read, result.data() + output * plane); });
  return result;
}

}  // namespace popcorn::protocols::shares
