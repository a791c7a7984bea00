// The networks of the data folder against outputs that another program computed.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/onnx/onnx_import.h"
#include "models/datasets/cifar.h"
#include "models/datasets/compressed_file.h"
#include "models/datasets/image_reading.h"
#include "tests/compress/random_graph.h"
#include "tests/support/data_folder.h"

using namespace popcorn;
using namespace popcorn::compress;

namespace {

struct Reference {
  std::string model;
  std::size_t image = 0;
  std::vector<float> outputs;
};

/// Lines "model dataset index label : values".
std::vector<Reference> read_references(const std::filesystem::path& path, const std::string& dataset) {
  std::ifstream file(path);
  std::vector<Reference> result;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    Reference r;
    std::string set, label, colon;
    in >> r.model >> set >> r.image >> label >> colon;
    for (float v = 0; in >> v;) r.outputs.push_back(v);
    if (set == dataset && colon == ":") result.push_back(r);
  }
  return result;
}

std::vector<float> softmax(std::vector<float> values) {
  double sum = 0;
  for (const float v : values) sum += std::exp(static_cast<double>(v));
  for (float& v : values) v = static_cast<float>(std::exp(static_cast<double>(v)) / sum);
  return values;
}

/// The preprocessing that the data folder's README states for a network.
ImportOptions preprocessing(const std::string& model, const models::Shape& shape) {
  ImportOptions options;
  options.input_shape = shape;
  if (model.find("_kw") != std::string::npos) {
    options.mean = {0.485, 0.456, 0.406};
    options.deviation = {0.225, 0.225, 0.225};
  } else if (model.find("resnet_2b") != std::string::npos) {
    options.mean = {0.4914, 0.4822, 0.4465};
    options.deviation = {0.2471, 0.2435, 0.2616};
  } else if (model.find("resnet") != std::string::npos) {
    options.mean = {0.485, 0.456, 0.406};
    options.deviation = {0.229, 0.224, 0.225};
  }
  return options;
}

/// Compares all networks of one data set with their published outputs, before and after folding.
std::size_t check_references(const std::filesystem::path& references, const std::string& set_name,
                             const Dataset& set) {
  std::size_t checked = 0;
  for (const Reference& reference : read_references(references, set_name)) {
    FloatGraph graph = read_onnx(references.parent_path().parent_path() / reference.model,
                                 preprocessing(reference.model, set.shape));
    for (const bool fold : {false, true}) {
      if (fold) fold_batch_norm(graph);
      const std::vector<float> all = logits(graph, set);
      const auto classes = static_cast<std::ptrdiff_t>(graph.output().shape.size());
      const auto row = all.begin() + static_cast<std::ptrdiff_t>(reference.image) * classes;
      std::vector<float> found(row, row + classes);
      if (graph.softmax) found = softmax(found);
      INFO(reference.model << " image " << reference.image << (fold ? " folded" : ""));
      CHECK(test::relative_difference(found, reference.outputs) < 3e-4);
    }
    ++checked;
  }
  return checked;
}

constexpr char kReferences[] = "onnx/reference/mnist-cifar10-outputs.txt";

/// Values of a NumPy file of float32 in C order: after a header whose length is in its bytes 8 and 9.
std::vector<float> read_npy(const std::filesystem::path& path) {
  const Bytes file = read_file(path);
  REQUIRE(file.size() > 10);
  const std::size_t header = 10 + file[8] + 256U * file[9];
  std::vector<float> values((file.size() - header) / sizeof(float));
  std::memcpy(values.data(), file.data() + header, values.size() * sizeof(float));
  return values;
}

}  // namespace

TEST_CASE("the MNIST networks compute their published outputs") {
  const auto references = test::data_file(kReferences);
  const auto images = test::data_file("mnist");
  if (!references || !images) return;
  const Dataset set = read_dataset("mnist", *images, Split::test).first(3);
  CHECK(check_references(*references, "mnist-t10k", set) == 21);
}

TEST_CASE("the CIFAR-10 networks compute their published outputs") {
  const auto references = test::data_file(kReferences);
  const auto images = test::data_file("cifar10/test_batch.bin.xz");
  if (!references || !images) return;
  const Dataset set =
      datasets::parse_cifar10(datasets::read_maybe_packed(*images, std::size_t{1} << 28), *images).first(3);
  CHECK(check_references(*references, "cifar10-test_batch", set) >= 27);
}

namespace {

/// A network of the ImageNet folder: x = (pixel - mean) * factor, per channel in the network's own order.
struct ImageNetModel {
  const char* name;
  bool bgr;
  /// Largest difference: 3e-5 and the rounding of the stored values, which have six digits: logits of 10 to
  /// 40, or probabilities.
  float tolerance;
  std::array<float, 3> mean, factor;
};

const ImageNetModel kImageNetModels[] = {
    {"mobilenet_v1_0.75_224", false, 3e-5F, {127.5F, 127.5F, 127.5F}, {1 / 127.5F, 1 / 127.5F, 1 / 127.5F}},
    {"squeezenet1.0-deepcompression", true, 8e-5F, {104, 117, 123}, {1, 1, 1}},
    {"squeezenet1.1",
     false,
     8e-5F,
     {255 * 0.485F, 255 * 0.456F, 255 * 0.406F},
     {1 / (255 * 0.229F), 1 / (255 * 0.224F), 1 / (255 * 0.225F)}}};

std::vector<float> network_input(const ImageNetModel& model, const std::vector<std::uint8_t>& rgb) {
  const std::size_t plane = rgb.size() / 3;
  std::vector<float> input(rgb.size());
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t from = model.bgr ? 2 - c : c;
    for (std::size_t i = 0; i < plane; ++i)
      input[c * plane + i] = (static_cast<float>(rgb[from * plane + i]) - model.mean[c]) * model.factor[c];
  }
  return input;
}

}  // namespace

TEST_CASE("the ImageNet networks give the stored answers of sample pictures") {
  constexpr std::size_t kPictures = 2;
  const auto models_folder = test::data_file("onnx/imagenet");
  const auto references = test::data_file("onnx/reference");
  const auto pictures = test::data_file("imagenet-samples");
  if (!models_folder || !references || !pictures) return;
  for (const ImageNetModel& model : kImageNetModels) {
    const FloatGraph graph = read_onnx(*models_folder / (std::string(model.name) + ".onnx"));
    Executor executor(graph);
    std::ifstream lines(*references / ("imagenet-samples-" + std::string(model.name) + ".txt"));
    std::size_t checked = 0;
    for (std::string text; checked < kPictures && std::getline(lines, text);) {
      if (text.empty() || text[0] == '#') continue;
      std::istringstream in(text);
      std::string file, label;
      std::array<std::size_t, 2> index{};
      std::array<float, 2> value{};
      REQUIRE(in >> file >> label >> index[0] >> value[0] >> index[1] >> value[1]);
      const auto rgb = datasets::planar(datasets::read_image(*pictures / file));
      std::vector<float> found = executor.run(std::span<const float>(network_input(model, rgb)), 1);
      if (graph.softmax) found = softmax(found);
      INFO(model.name << " " << file);
      CHECK(static_cast<std::size_t>(std::max_element(found.begin(), found.end()) - found.begin()) ==
            index[0]);
      for (std::size_t k = 0; k < 2; ++k) CHECK(std::abs(found.at(index[k]) - value[k]) < model.tolerance);
      ++checked;
    }
    CHECK(checked == kPictures);
  }
}

TEST_CASE("every network of the data folder is imported") {
  const auto folder = test::data_file("onnx");
  if (!folder) return;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
    if (entry.path().extension() != ".onnx") continue;
    INFO(entry.path().filename().string());
    CHECK_NOTHROW(read_onnx(entry.path()));
    ++count;
  }
  CHECK(count == 19);
}

TEST_CASE("SqueezeNet computes its published output") {
  const auto model = test::data_file("onnx/imagenet/squeezenet1.1.onnx");
  const auto folder = test::data_file("onnx/reference");
  if (!model || !folder) return;
  const FloatGraph graph = read_onnx(*model);
  const std::vector<float> input = read_npy(*folder / "squeezenet1.1_input_0.npy");
  const std::vector<float> expected = read_npy(*folder / "squeezenet1.1_output_0.npy");
  Executor executor(graph);
  CHECK(test::relative_difference(executor.run(std::span<const float>(input), 1), expected) < 1e-4);
}

TEST_CASE("the other ImageNet networks are taken over") {
  for (const char* name : {"squeezenet1.0-deepcompression", "mobilenet_v1_0.75_224"}) {
    const auto model = test::data_file(std::string("onnx/imagenet/") + name + ".onnx");
    if (!model) return;
    FloatGraph graph = read_onnx(*model);
    CHECK(graph.output().shape.size() == 1000);
    CHECK_NOTHROW(fold_batch_norm(graph));
  }
}
