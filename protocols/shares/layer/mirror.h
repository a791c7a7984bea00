// Layers that only negate: what a clip's second step is made of.
#pragma once

#include <algorithm>

#include "models/network/integer_network.h"

namespace popcorn::protocols::shares {

/// Whether the node is y = b_c − x, channel by channel: a 1×1 convolution of single channels with weights of
/// −1. On shares each party negates its own and the server adds b: nothing is encrypted for it. That the
/// weights are −1 is public then, b is not.
inline bool mirrors(const models::Node& node) {
  const models::Window& w = node.window;
  const auto is_one_to_one = [](std::int64_t kernel, std::int64_t stride, std::int64_t before,
                                std::int64_t after) {
    return kernel == 1 && stride == 1 && before == 0 && after == 0;
  };
  return node.kind == models::NodeKind::conv2d && node.groups == node.shape.channels &&
         node.weights.size() == static_cast<std::size_t>(node.shape.channels) &&
         is_one_to_one(w.kernel_height, w.stride_height, w.pad_top, w.pad_bottom) &&
         is_one_to_one(w.kernel_width, w.stride_width, w.pad_left, w.pad_right) &&
         std::ranges::all_of(node.weights, [](std::int32_t weight) { return weight == -1; });
}

}  // namespace popcorn::protocols::shares
