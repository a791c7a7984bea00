// Definitions of the benchmark networks: layer lists, without weights.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::models {

/// The same kernel, stride and padding on both axes and all sides.
Window square_window(std::int64_t kernel, std::int64_t stride, std::int64_t pad);

/// One float layer of a zoo network; layers are in topological order.
struct ZooLayer {
  enum class Kind { conv2d, dense, max_pool2d, average_pool2d, relu, sign, flatten, batch_norm, add, concat };
  Kind kind;
  std::string name;                   ///< "conv1"
  std::int64_t outputs = 0;           ///< channels of conv2d, units of dense
  Window window;                      ///< conv2d and pools
  std::vector<std::string> inputs{};  ///< names of earlier layers; none = the layer before this one
  std::int64_t groups = 1;            ///< conv2d
};

/// The shape that a layer makes of the shapes of its operands (one, except of sums and joins).
Shape output_shape(const ZooLayer& layer, const std::vector<Shape>& operands);

struct ZooNetwork {
  std::string name;         ///< "mnist-conv2"
  std::string description;  ///< one line with the literature's name for it
  std::string dataset;      ///< "mnist", "cifar10" or "imagenet"
  InputEncoding encoding;
  std::vector<std::string> labels;
  std::vector<ZooLayer> layers;
  bool binary_weights = false;  ///< all weights are -1 or 1
  /// Published shares of non-zero weights: layer (or "*" for all others) and share; and where they are from.
  std::vector<std::pair<std::string, double>> densities{};
  std::string density_source{};
  /// Of binary weights: factor of the last layer's sums, whose scale no weight can learn.
  double logit_gain = 1;
};

/// The small networks, which `popcorn train` trains.
const std::vector<ZooNetwork>& zoo();
/// AlexNet, VGG-16, ResNet-18 and -50, DenseNet-121, MobileNetV2 for ImageNet: to be trained elsewhere.
const std::vector<ZooNetwork>& imagenet_zoo();
/// Of either.
/// @throws UsageError "zoo.unknown" that lists the known names
const ZooNetwork& zoo_network(std::string_view name);

}  // namespace popcorn::models
