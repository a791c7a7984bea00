#include "models/evaluation/paired_layer.h"

#include <algorithm>

#include "models/evaluation/partial_sums.h"
#include "models/file/popcorn_format.h"

namespace popcorn::models {

namespace {

using kernels::kLanes;

constexpr auto kLaneCount = static_cast<std::int64_t>(kLanes);
constexpr std::int64_t kBlock = 8;  // positions whose values stay in the nearest cache for all outputs
constexpr unsigned kValueBits = 15, kSumBits = 31;

std::int64_t padded(std::int64_t input, std::int64_t before, std::int64_t after) {
  return input + before + after;
}

}  // namespace

bool PairedLayer::fits(const IntegerNetwork& network, std::size_t index) {
  const Node& node = network.nodes[index];
  if (!takes_weights(node.kind)) return false;
  const Node& operand = network.nodes[node.inputs.front()];
  const Window& w = node.window;
  const std::int64_t places = padded(operand.shape.height, w.pad_top, w.pad_bottom) *
                              padded(operand.shape.width, w.pad_left, w.pad_right);
  const std::int64_t words = (operand.shape.channels + node.groups) * places * kLaneCount;
  return operand.bounds.bits <= kValueBits && node.weight_bits() <= kValueBits + 1 &&
         partial_sum_bits(network, index) <= kSumBits && words <= INT32_MAX;
}

PairedLayer::PairedLayer(const Node& node, const Shape& input)
    : input_(input),
      output_(node.shape),
      window_(node.window),
      per_group_(input.channels / node.groups),
      pairs_per_group_((per_group_ + 1) / 2),
      pairs_(pairs_per_group_ * node.groups),
      height_(padded(input.height, window_.pad_top, window_.pad_bottom)),
      width_(padded(input.width, window_.pad_left, window_.pad_right)),
      rows_(node.shape.height),
      columns_(node.shape.width) {
  if (window_.stride_height == 1 && window_.stride_width == 1 && width_ == columns_) {
    columns_ *= rows_;
    rows_ = 1;
  }
  for (std::int64_t output = 0; output < node.shape.channels; ++output) {
    first_.push_back(taps_.size());
    add_taps(node, output);
    bias_.push_back(static_cast<std::int32_t>(node.bias.to_int64(static_cast<std::size_t>(output))));
  }
  first_.push_back(taps_.size());
}

void PairedLayer::add_taps(const Node& node, std::int64_t output) {
  const std::int64_t kernel = window_.kernel_height * window_.kernel_width;
  const std::int64_t group = output / (node.shape.channels / node.groups);
  const std::int32_t* const weights = node.weights.data() + output * per_group_ * kernel;
  for (std::int64_t channel = 0; channel < per_group_; channel += 2) {
    const std::int64_t plane = (group * pairs_per_group_ + channel / 2) * height_;
    for (std::int64_t tap = 0; tap < kernel; ++tap) {
      const auto first = static_cast<std::int16_t>(weights[channel * kernel + tap]);
      const auto second =
          static_cast<std::int16_t>(channel + 1 < per_group_ ? weights[(channel + 1) * kernel + tap] : 0);
      if (first == 0 && second == 0) continue;
      const std::int64_t row = tap / window_.kernel_width * window_.dilation_height;
      const std::int64_t column = tap % window_.kernel_width * window_.dilation_width;
      const std::int64_t place = (plane + row) * width_ + column;
      taps_.push_back({static_cast<std::int32_t>(place * kLaneCount), kernels::pair_of(first, second)});
    }
  }
}

std::vector<std::int32_t> PairedLayer::pairs(const std::vector<std::int32_t>& x) const {
  std::vector<std::int32_t> result(static_cast<std::size_t>(pairs_ * height_ * width_ * kLaneCount));
  const std::int64_t row_words = input_.width * kLaneCount;
  for (std::int64_t channel = 0; channel < input_.channels; ++channel) {
    const std::int64_t within = channel % per_group_;
    const std::int64_t pair = channel / per_group_ * pairs_per_group_ + within / 2;
    for (std::int64_t row = 0; row < input_.height; ++row) {
      const std::int32_t* const from = x.data() + (channel * input_.height + row) * row_words;
      std::int32_t* const to =
          result.data() + ((pair * height_ + row + window_.pad_top) * width_ + window_.pad_left) * kLaneCount;
      for (std::int64_t i = 0; i < row_words; ++i) {
        const std::uint32_t value = static_cast<std::uint32_t>(from[i]) & 0xffff;
        to[i] = static_cast<std::int32_t>(within % 2 == 0 ? value
                                                          : static_cast<std::uint32_t>(to[i]) | value << 16);
      }
    }
  }
  return result;
}

void PairedLayer::run(const std::vector<std::int32_t>& x, std::vector<std::int32_t>& y) const {
  const std::vector<std::int32_t> values = pairs(x);
  const auto& sums = kernels::pair_sums().run;
  const std::int64_t stride = window_.stride_width * kLaneCount;
  for (std::int64_t row = 0; row < rows_; ++row) {
    const std::int32_t* const line = values.data() + row * window_.stride_height * width_ * kLaneCount;
    for (std::int64_t column = 0; column < columns_; column += kBlock) {
      const auto positions = static_cast<std::size_t>(std::min(kBlock, columns_ - column));
      for (std::int64_t output = 0; output < output_.channels; ++output) {
        const auto o = static_cast<std::size_t>(output);
        sums(y.data() + ((output * rows_ + row) * columns_ + column) * kLaneCount, positions, bias_[o],
             line + column * stride, static_cast<std::size_t>(stride), taps_.data() + first_[o],
             first_[o + 1] - first_[o]);
      }
    }
  }
}

}  // namespace popcorn::models
