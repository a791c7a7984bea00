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
  return networks;
}

}  // namespace

const std::vector<ZooNetwork>& imagenet_zoo() {
  static const std::vector<ZooNetwork> networks = all_networks();
  return networks;
}

}  // namespace popcorn::models
