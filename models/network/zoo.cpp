#include "models/network/zoo.h"

#include "base/error.h"
#include "models/network/sliding_window.h"

namespace popcorn::models {

Window square_window(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  Window window;
  window.kernel_height = window.kernel_width = kernel;
  window.stride_height = window.stride_width = stride;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = pad;
  return window;
}

Shape output_shape(const ZooLayer& layer, const std::vector<Shape>& operands) {
  const Window& w = layer.window;
  Shape shape = operands.front();
  const auto slide = [&](std::int64_t channels) {
    return Shape{channels,
                 window_outputs(shape.height, w.kernel_height, w.stride_height, w.pad_top, w.pad_bottom,
                                w.dilation_height),
                 window_outputs(shape.width, w.kernel_width, w.stride_width, w.pad_left, w.pad_right,
                                w.dilation_width)};
  };
  switch (layer.kind) {
    case ZooLayer::Kind::conv2d:
      return slide(layer.outputs);
    case ZooLayer::Kind::max_pool2d:
    case ZooLayer::Kind::average_pool2d:
      return slide(shape.channels);
    case ZooLayer::Kind::dense:
      return {layer.outputs, 1, 1};
    case ZooLayer::Kind::flatten:
      return {shape.size(), 1, 1};
    case ZooLayer::Kind::concat:
      for (std::size_t i = 1; i < operands.size(); ++i) shape.channels += operands[i].channels;
      return shape;
    default:
      return shape;
  }
}

namespace {

using Kind = ZooLayer::Kind;

ZooLayer conv(std::string name, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
              std::int64_t pad) {
  return {Kind::conv2d, std::move(name), channels, square_window(kernel, stride, pad)};
}

ZooLayer dense(std::string name, std::int64_t units) {
  return {Kind::dense, std::move(name), units, {}};
}

ZooLayer max_pool(std::string name, std::int64_t kernel) {
  return {Kind::max_pool2d, std::move(name), 0, square_window(kernel, kernel, 0)};
}

ZooLayer average_pool(std::string name, std::int64_t kernel) {
  return {Kind::average_pool2d, std::move(name), 0, square_window(kernel, kernel, 0)};
}

ZooLayer batch_norm(std::string name) {
  return {Kind::batch_norm, std::move(name), 0, {}};
}

ZooLayer sign(std::string name) {
  return {Kind::sign, std::move(name), 0, {}};
}

ZooLayer relu(std::string name) {
  return {Kind::relu, std::move(name), 0, {}};
}

ZooLayer flatten() {
  return {Kind::flatten, "flatten", 0, {}};
}

/// The layer reads an earlier one instead of the one before it.
ZooLayer from(std::string input, ZooLayer layer) {
  layer.inputs = {std::move(input)};
  return layer;
}

ZooLayer add(std::string name, std::string first, std::string second) {
  return {Kind::add, std::move(name), 0, {}, {std::move(first), std::move(second)}};
}

/// Channels of both, one behind the other.
ZooLayer concat(std::string name, std::string first, std::string second) {
  return {Kind::concat, std::move(name), 0, {}, {std::move(first), std::move(second)}};
}

/// Grey 28×28, white strokes on black as in MNIST; what is drawn dark on a bright page is inverted first.
InputEncoding mnist_encoding() {
  InputEncoding encoding;
  encoding.shape = {1, 28, 28};
  encoding.color = "gray";
  encoding.invert = InputEncoding::Invert::dark_on_light;
  encoding.offset = {0};
  encoding.low = 0;
  encoding.high = 255;
  return encoding;
}

ZooNetwork mnist_network(std::string name, std::string description, std::vector<ZooLayer> layers) {
  return {std::move(name),
          std::move(description),
          "mnist",
          mnist_encoding(),
          {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          std::move(layers),
          false};
}

/// RGB 32×32; the offset is the mean of the training set, so that zero padding is a mean grey.
InputEncoding cifar10_encoding() {
  InputEncoding encoding;
  encoding.shape = {3, 32, 32};
  encoding.color = "rgb";
  encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
  encoding.resize_shorter_side = 32;
  encoding.offset = {125, 123, 114};
  encoding.low = -125;
  encoding.high = 255 - 114;
  return encoding;
}

ZooNetwork cifar10_network(std::string name, std::string description, std::vector<ZooLayer> layers) {
  return {std::move(name),
          std::move(description),
          "cifar10",
          cifar10_encoding(),
          {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
          std::move(layers),
          false};
}

/// Seven convolutions, each with batch-norm (folded away later) and ReLU, and average pooling.
std::vector<ZooLayer> conv7_layers() {
  std::vector<ZooLayer> layers;
  const auto block = [&](int number, std::int64_t channels, std::int64_t kernel) {
    const std::string index = std::to_string(number);
    layers.push_back(conv("conv" + index, channels, kernel, 1, kernel / 2));
    layers.push_back(batch_norm("norm" + index));
    layers.push_back(relu("relu" + index));
  };
  block(1, 64, 3);
  block(2, 64, 3);
  layers.push_back(average_pool("pool1", 2));
  block(3, 64, 3);
  block(4, 64, 3);
  layers.push_back(average_pool("pool2", 2));
  block(5, 64, 3);
  block(6, 64, 1);
  block(7, 16, 1);
  layers.push_back(flatten());
  layers.push_back(dense("fc", 10));
  return layers;
}

/// Three stages of three residual blocks; where a stage halves the picture and doubles the channels, the
/// shortcut is a 1×1 convolution (option B).
std::vector<ZooLayer> resnet20_layers() {
  std::vector<ZooLayer> layers{conv("conv1", 16, 3, 1, 1), batch_norm("norm1"), relu("relu1")};
  std::string before = "relu1";
  for (int stage = 1; stage <= 3; ++stage) {
    const std::int64_t channels = std::int64_t{8} << stage;
    for (int block = 1; block <= 3; ++block) {
      const std::string id = std::to_string(stage) + "." + std::to_string(block);
      const std::int64_t stride = stage > 1 && block == 1 ? 2 : 1;
      std::string shortcut = before;
      if (stride == 2) {
        layers.push_back(from(before, conv("short" + id, channels, 1, stride, 0)));
        layers.push_back(batch_norm("short_norm" + id));
        shortcut = "short_norm" + id;
      }
      layers.push_back(from(before, conv("conv" + id + "a", channels, 3, stride, 1)));
      layers.push_back(batch_norm("norm" + id + "a"));
      layers.push_back(relu("relu" + id + "a"));
      layers.push_back(conv("conv" + id + "b", channels, 3, 1, 1));
      layers.push_back(batch_norm("norm" + id + "b"));
      layers.push_back(add("add" + id, shortcut, "norm" + id + "b"));
      before = "relu" + id;
      layers.push_back(relu(before));
    }
  }
  layers.push_back(average_pool("pool", 8));
  layers.push_back(flatten());
  layers.push_back(dense("fc", 10));
  return layers;
}

/// Convolutions of ±1 between thresholds, with shortcuts of real values around each of them (Bi-Real Net, Liu
/// et al. 2018; where the channels double, BinaryDenseNet, Bethge et al. 2019): what a threshold takes away
/// reaches later layers all the same. Sums and average pools of ciphertexts cost next to nothing, and pooling
/// before a threshold leaves a quarter of the sign tests.
std::vector<ZooLayer> binary_residual_layers() {
  std::int64_t channels = 64;
  std::string before = "conv1";
  std::vector<ZooLayer> layers{conv(before, channels, 4, 2, 1)};
  const auto block = [&](const std::string& id, bool widens) {
    layers.push_back(from(before, batch_norm("norm" + id)));
    layers.push_back(sign("sign" + id));
    layers.push_back(conv("conv" + id, channels, 3, 1, 1));
    layers.push_back(widens ? concat("join" + id, before, "conv" + id)
                            : add("join" + id, before, "conv" + id));
    before = "join" + id;
    if (widens) channels *= 2;
  };
  const auto stage = [&](int number, int blocks) {
    const std::string id = std::to_string(number);
    if (number > 2) {
      layers.push_back(average_pool("pool" + id, 2));
      before = "pool" + id;
    }
    for (int k = 1; k <= blocks; ++k) block(id + "." + std::to_string(k), number > 2 && k == 1);
  };
  stage(2, 2);
  stage(3, 4);
  stage(4, 3);
  layers.push_back(batch_norm("norm"));
  layers.push_back(sign("sign"));
  layers.push_back(flatten());
  layers.push_back(dense("fc", 10));
  return layers;
}

std::vector<ZooNetwork> all_networks() {
  std::vector<ZooNetwork> networks;
  networks.push_back(mnist_network(
      "mnist-mlp", "784-128-128-10 (SecureML, MiniONN fig. 10; Network A)",
      {flatten(), dense("fc1", 128), relu("relu1"), dense("fc2", 128), relu("relu2"), dense("fc3", 10)}));
  networks.push_back(mnist_network(
      "mnist-conv1", "one 5x5 stride-2 convolution, FC 980-100-10 (Chameleon, DeepSecure, Sarda; Network D)",
      {conv("conv1", 5, 5, 2, 2), relu("relu1"), flatten(), dense("fc1", 100), relu("relu2"),
       dense("fc2", 10)}));
  networks.push_back(mnist_network(
      "mnist-conv2", "two 5x5 convolutions with max-pooling, FC 256-100-10 (MiniONN fig. 12; Network B)",
      {conv("conv1", 16, 5, 1, 0), max_pool("pool1", 2), relu("relu1"), conv("conv2", 16, 5, 1, 0),
       max_pool("pool2", 2), relu("relu2"), flatten(), dense("fc1", 100), relu("relu3"), dense("fc2", 10)}));
  networks.push_back(mnist_network(
      "mnist-lenet", "two 5x5 convolutions with max-pooling, FC 800-500-10 (LeNet-5 of Caffe; Network C)",
      {conv("conv1", 20, 5, 1, 0), max_pool("pool1", 2), relu("relu1"), conv("conv2", 50, 5, 1, 0),
       max_pool("pool2", 2), relu("relu2"), flatten(), dense("fc1", 500), relu("relu3"), dense("fc2", 10)}));
  networks.push_back(
      mnist_network("mnist-bnn", "mnist-conv2 with binary weights and sign activations (XONN BM3)",
                    {conv("conv1", 16, 5, 1, 0), batch_norm("norm1"), sign("sign1"), max_pool("pool1", 2),
                     conv("conv2", 16, 5, 1, 0), batch_norm("norm2"), sign("sign2"), max_pool("pool2", 2),
                     flatten(), dense("fc1", 100), batch_norm("norm3"), sign("sign3"), dense("fc2", 10)}));
  networks.back().binary_weights = true;
  networks.push_back(cifar10_network("cifar10-conv7",
                                     "seven convolutions with average pooling, FC 1024-10 (MiniONN fig. 13)",
                                     conv7_layers()));
  networks.push_back(cifar10_network("cifar10-resnet20",
                                     "residual network of 20 layers (He et al. 2016; option B shortcuts)",
                                     resnet20_layers()));
  networks.push_back(cifar10_network(
      "cifar10-bnn", "binarised network of 11 layers of 64 to 256 channels with shortcuts of real values",
      binary_residual_layers()));
  networks.back().binary_weights = true;
  networks.back().logit_gain = 0.25;
  return networks;
}

}  // namespace

const std::vector<ZooNetwork>& zoo() {
  static const std::vector<ZooNetwork> networks = all_networks();
  return networks;
}

const ZooNetwork& zoo_network(std::string_view name) {
  std::string known;
  for (const std::vector<ZooNetwork>* networks : {&zoo(), &imagenet_zoo()}) {
    for (const ZooNetwork& network : *networks) {
      if (network.name == name) return network;
      known += (known.empty() ? "" : ", ") + network.name;
    }
  }
  throw UsageError("zoo.unknown", "no zoo network is called '" + std::string(name) + "'; known: " + known);
}

}  // namespace popcorn::models
