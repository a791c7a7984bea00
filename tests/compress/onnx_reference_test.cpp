// The networks of the data folder against outputs that another program computed.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "compress/executor.h"
#include "compress/fold_batch_norm.h"
#include "compress/onnx_import.h"
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

}  // namespace

TEST_CASE("the MNIST networks compute their published outputs, before and after folding") {
  const auto folder = test::data_file("onnx/reference/mnist-cifar10-outputs.txt");
  const auto images = test::data_file("mnist");
  if (!folder || !images) return;
  const Dataset set = read_dataset("mnist", *images, Split::test).first(3);
  const auto size = static_cast<std::size_t>(set.shape.size());
  std::size_t checked = 0;
  for (const Reference& reference : read_references(*folder, "mnist-t10k")) {
    ImportOptions options;
    options.input_shape = set.shape;
    FloatGraph graph = read_onnx(folder->parent_path().parent_path() / reference.model, options);
    for (const bool fold : {false, true}) {
      if (fold) fold_batch_norm(graph);
      const std::vector<float> all = logits(graph, set);
      const auto classes = static_cast<std::ptrdiff_t>(graph.output().shape.size());
      const auto row = all.begin() + static_cast<std::ptrdiff_t>(reference.image) * classes;
      std::vector<float> found(row, row + classes);
      if (graph.softmax) found = softmax(found);
      INFO(reference.model << " image " << reference.image << " of " << size << " pixels");
      CHECK(test::relative_difference(found, reference.outputs) < 2e-4);
    }
    ++checked;
  }
  CHECK(checked == 21);
}
