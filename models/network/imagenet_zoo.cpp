// The networks for ImageNet's 1,000 classes that the literature measures compression and oblivious inference
// on.
#include "models/network/zoo.h"

namespace popcorn::models {

namespace {

using Kind = ZooLayer::Kind;

/// Appends layers, each reading the one before it unless told otherwise.
class Layers {
 public:
  Layers& conv(std::string name, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
               std::int64_t pad, std::int64_t groups = 1) {
    return append({Kind::conv2d, std::move(name), channels, square_window(kernel, stride, pad), {}, groups});
  }
  Layers& dense(std::string name, std::int64_t units) {
    return append({Kind::dense, std::move(name), units, {}});
  }
  Layers& max_pool(std::string name, std::int64_t kernel, std::int64_t stride, std::int64_t pad = 0) {
    return append({Kind::max_pool2d, std::move(name), 0, square_window(kernel, stride, pad)});
  }
  Layers& average_pool(std::string name, std::int64_t kernel) {
    return append({Kind::average_pool2d, std::move(name), 0, square_window(kernel, kernel, 0)});
  }
  Layers& batch_norm(std::string name) { return append({Kind::batch_norm, std::move(name), 0, {}}); }
  Layers& relu(std::string name) { return append({Kind::relu, std::move(name), 0, {}}); }
  Layers& flatten() { return append({Kind::flatten, "flatten", 0, {}}); }
  Layers& add(std::string name, std::string first, std::string second) {
    return append({Kind::add, std::move(name), 0, {}, {std::move(first), std::move(second)}});
  }
  Layers& concat(std::string name, std::string first, std::string second) {
    return append({Kind::concat, std::move(name), 0, {}, {std::move(first), std::move(second)}});
  }
  /// The layer appended last reads this one.
  Layers& from(std::string input) {
    layers_.back().inputs = {std::move(input)};
    return *this;
  }
  std::vector<ZooLayer> take() { return std::move(layers_); }

 private:
  Layers& append(ZooLayer layer) {
    layers_.push_back(std::move(layer));
    return *this;
  }

  std::vector<ZooLayer> layers_;
};

/// RGB; the offset is the mean of the training set, so that zero padding is its mean colour.
ZooNetwork imagenet_network(std::string name, std::string description, std::int64_t side,
                            std::vector<ZooLayer> layers,
                            std::vector<std::pair<std::string, double>> densities, std::string source) {
  InputEncoding encoding;
  encoding.shape = {3, side, side};
  encoding.color = "rgb";
  encoding.resize = InputEncoding::Resize::shorter_side_then_center_crop;
  encoding.resize_shorter_side = 256;
  encoding.offset = {124, 116, 104};
  encoding.low = -124;
  encoding.high = 255 - 104;
  return {std::move(name), std::move(description), "imagenet",       encoding, {}, std::move(layers),
          false,           std::move(densities),   std::move(source)};
}

/// Caffe's AlexNet without its normalisations across channels, which have no exact integer form.
std::vector<ZooLayer> alexnet_layers() {
  Layers layers;
  layers.conv("conv1", 96, 11, 4, 0).relu("relu1").max_pool("pool1", 3, 2);
  layers.conv("conv2", 256, 5, 1, 2, 2).relu("relu2").max_pool("pool2", 3, 2);
  layers.conv("conv3", 384, 3, 1, 1).relu("relu3");
  layers.conv("conv4", 384, 3, 1, 1, 2).relu("relu4");
  layers.conv("conv5", 256, 3, 1, 1, 2).relu("relu5").max_pool("pool5", 3, 2);
  layers.flatten().dense("fc6", 4096).relu("relu6").dense("fc7", 4096).relu("relu7").dense("fc8", 1000);
  return layers.take();
}

std::vector<ZooLayer> vgg16_layers() {
  Layers layers;
  const int convolutions[] = {2, 2, 3, 3, 3};
  for (int stage = 1; stage <= 5; ++stage) {
    const std::int64_t channels = stage == 5 ? 512 : std::int64_t{32} << stage;
    for (int k = 1; k <= convolutions[stage - 1]; ++k) {
      const std::string id = std::to_string(stage) + "_" + std::to_string(k);
      layers.conv("conv" + id, channels, 3, 1, 1).relu("relu" + id);
    }
    layers.max_pool("pool" + std::to_string(stage), 2, 2);
  }
  layers.flatten().dense("fc6", 4096).relu("relu6").dense("fc7", 4096).relu("relu7").dense("fc8", 1000);
  return layers.take();
}

/// Four stages of two residual blocks; 1×1 convolutions as shortcuts where a stage halves the picture.
std::vector<ZooLayer> resnet18_layers() {
  Layers layers;
  layers.conv("conv1", 64, 7, 2, 3).batch_norm("norm1").relu("relu1").max_pool("pool1", 3, 2, 1);
  std::string before = "pool1";
  for (int stage = 1; stage <= 4; ++stage) {
    const std::int64_t channels = std::int64_t{32} << stage;
    for (int block = 1; block <= 2; ++block) {
      const std::string id = std::to_string(stage) + "." + std::to_string(block);
      const std::int64_t stride = stage > 1 && block == 1 ? 2 : 1;
      std::string shortcut = before;
      if (stride == 2) {
        layers.conv("short" + id, channels, 1, stride, 0).from(before).batch_norm("short_norm" + id);
        shortcut = "short_norm" + id;
      }
      layers.conv("conv" + id + "a", channels, 3, stride, 1).from(before);
      layers.batch_norm("norm" + id + "a").relu("relu" + id + "a");
      layers.conv("conv" + id + "b", channels, 3, 1, 1).batch_norm("norm" + id + "b");
      before = "relu" + id;
      layers.add("add" + id, shortcut, "norm" + id + "b").relu(before);
    }
  }
  layers.average_pool("pool", 7).flatten().dense("fc", 1000);
  return layers.take();
}

/// Four stages of bottlenecks, the stride at the 3×3 convolution as torchvision has it.
std::vector<ZooLayer> resnet50_layers() {
  Layers layers;
  layers.conv("conv1", 64, 7, 2, 3).batch_norm("norm1").relu("relu1").max_pool("pool1", 3, 2, 1);
  std::string before = "pool1";
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 1; stage <= 4; ++stage) {
    const std::int64_t channels = std::int64_t{32} << stage;
    for (int block = 1; block <= blocks[stage - 1]; ++block) {
      const std::string id = std::to_string(stage) + "." + std::to_string(block);
      const std::int64_t stride = stage > 1 && block == 1 ? 2 : 1;
      std::string shortcut = before;
      if (block == 1) {
        layers.conv("short" + id, 4 * channels, 1, stride, 0).from(before).batch_norm("short_norm" + id);
        shortcut = "short_norm" + id;
      }
      layers.conv("conv" + id + "a", channels, 1, 1, 0).from(before);
      layers.batch_norm("norm" + id + "a").relu("relu" + id + "a");
      layers.conv("conv" + id + "b", channels, 3, stride, 1);
      layers.batch_norm("norm" + id + "b").relu("relu" + id + "b");
      layers.conv("conv" + id + "c", 4 * channels, 1, 1, 0).batch_norm("norm" + id + "c");
      before = "relu" + id;
      layers.add("add" + id, shortcut, "norm" + id + "c").relu(before);
    }
  }
  layers.average_pool("pool", 7).flatten().dense("fc", 1000);
  return layers.take();
}

/// Four dense blocks of growth 32: normalisation and ReLU come before each convolution and see all channels
/// so far. What such a normalisation scales by goes into the convolution, what it adds stays.
std::vector<ZooLayer> densenet121_layers() {
  Layers layers;
  layers.conv("conv0", 64, 7, 2, 3).batch_norm("norm0").relu("relu0").max_pool("pool0", 3, 2, 1);
  std::string before = "pool0";
  std::int64_t channels = 64;
  constexpr std::int64_t kGrowth = 32, kBottleneck = 4 * kGrowth;
  const int sizes[] = {6, 12, 24, 16};
  for (int block = 1; block <= 4; ++block) {
    for (int k = 1; k <= sizes[block - 1]; ++k, channels += kGrowth) {
      const std::string id = std::to_string(block) + "." + std::to_string(k);
      layers.batch_norm("norm" + id + "a").from(before).relu("relu" + id + "a");
      layers.conv("conv" + id + "a", kBottleneck, 1, 1, 0)
          .batch_norm("norm" + id + "b")
          .relu("relu" + id + "b");
      layers.conv("conv" + id + "b", kGrowth, 3, 1, 1);
      layers.concat("join" + id, before, "conv" + id + "b");
      before = "join" + id;
    }
    if (block == 4) break;
    const std::string id = std::to_string(block);
    channels /= 2;
    layers.batch_norm("norm_t" + id).relu("relu_t" + id).conv("conv_t" + id, channels, 1, 1, 0);
    before = "pool_t" + id;
    layers.average_pool(before, 2);
  }
  layers.batch_norm("norm5").relu("relu5").average_pool("pool5", 7).flatten().dense("classifier", 1000);
  return layers.take();
}

/// Inverted residuals with linear bottlenecks; ReLU without its upper limit.
std::vector<ZooLayer> mobilenetv2_layers() {
  struct Stage {
    std::int64_t expansion, channels;
    int blocks;
    std::int64_t stride;
  };
  const Stage stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                          {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  Layers layers;
  layers.conv("conv0", 32, 3, 2, 1).batch_norm("norm0").relu("relu0");
  std::string before = "relu0";
  std::int64_t channels = 32;
  int number = 0;
  for (const Stage& stage : stages) {
    for (int k = 0; k < stage.blocks; ++k) {
      const std::string id = std::to_string(++number);
      const std::int64_t wide = channels * stage.expansion, stride = k == 0 ? stage.stride : 1;
      const std::string input = before;
      if (stage.expansion > 1)
        layers.conv("expand" + id, wide, 1, 1, 0)
            .from(input)
            .batch_norm("norm" + id + "a")
            .relu("relu" + id + "a");
      layers.conv("depthwise" + id, wide, 3, stride, 1, wide);
      layers.batch_norm("norm" + id + "b").relu("relu" + id + "b");
      before = "project" + id;
      layers.conv(before, stage.channels, 1, 1, 0);
      if (stride == 1 && channels == stage.channels) {
        before = "add" + id;
        layers.add(before, input, "project" + id);
      }
      channels = stage.channels;
    }
  }
  layers.conv("conv_last", 1280, 1, 1, 0).from(before).batch_norm("norm_last").relu("relu_last");
  layers.average_pool("pool", 7).flatten().dense("fc", 1000);
  return layers.take();
}

std::vector<ZooNetwork> all_networks() {
  const std::string pruned = "Han, Mao, Dally 2016, Deep Compression, table ";
  std::vector<ZooNetwork> networks;
  networks.push_back(imagenet_network(
      "alexnet", "AlexNet (Krizhevsky et al. 2012; Caffe's, without normalisation across channels)", 227,
      alexnet_layers(),
      {{"conv1", 0.84},
       {"conv2", 0.38},
       {"conv3", 0.35},
       {"conv4", 0.37},
       {"conv5", 0.37},
       {"fc6", 0.09},
       {"fc7", 0.09},
       {"fc8", 0.25}},
      pruned + "4"));
  networks.push_back(imagenet_network("vgg16", "VGG-16 (Simonyan and Zisserman 2015)", 224, vgg16_layers(),
                                      {{"conv1_1", 0.58},
                                       {"conv1_2", 0.22},
                                       {"conv2_1", 0.34},
                                       {"conv2_2", 0.36},
                                       {"conv3_1", 0.53},
                                       {"conv3_2", 0.24},
                                       {"conv3_3", 0.42},
                                       {"conv4_1", 0.32},
                                       {"conv4_2", 0.27},
                                       {"conv4_3", 0.34},
                                       {"conv5_1", 0.35},
                                       {"conv5_2", 0.29},
                                       {"conv5_3", 0.36},
                                       {"fc6", 0.04},
                                       {"fc7", 0.04},
                                       {"fc8", 0.23}},
                                      pruned + "5"));
  networks.push_back(imagenet_network("resnet18", "ResNet-18 (He et al. 2016)", 224, resnet18_layers(),
                                      {{"*", 0.3}}, "none: 0.3 is assumed for every layer"));
  networks.push_back(imagenet_network("resnet50", "ResNet-50 (He et al. 2016; strides as in torchvision)",
                                      224, resnet50_layers(), {{"*", 0.3}},
                                      "none: 0.3 is assumed for every layer"));
  networks.push_back(imagenet_network("densenet121", "DenseNet-121 (Huang et al. 2017)", 224,
                                      densenet121_layers(), {{"*", 0.5}},
                                      "none: 0.5 is assumed for every layer"));
  networks.push_back(
      imagenet_network("mobilenetv2", "MobileNetV2 (Sandler et al. 2018; ReLU in place of ReLU6)", 224,
                       mobilenetv2_layers(), {{"*", 0.7}}, "none: 0.7 is assumed for every layer"));
  return networks;
}

}  // namespace

const std::vector<ZooNetwork>& imagenet_zoo() {
  static const std::vector<ZooNetwork> networks = all_networks();
  return networks;
}

}  // namespace popcorn::models
