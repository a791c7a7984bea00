// How fast test sets go through the requantised form, beside the float network; not part of the usual run:
//   build/tests/test_compress "[speed]"    with the data sets' folder in POPCORN_DATA
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "compress/dataset.h"
#include "compress/executor.h"
#include "compress/integer_accuracy.h"
#include "compress/onnx/onnx_import.h"
#include "models/file/popcorn_file.h"

using namespace popcorn;

namespace {

template <typename Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a requantised network is evaluated as fast as the float one", "[.][speed]") {
  const char* folder = std::getenv("POPCORN_DATA");
  REQUIRE(folder != nullptr);
  const compress::FloatGraph graph =
      compress::read_onnx(std::filesystem::path(folder) / "onnx/cifar10/resnet20_cifar10.onnx");
  const models::IntegerNetwork network = models::read_network("models/requantised/cifar10-resnet20.popcorn");
  const compress::Dataset data = compress::read_dataset("cifar10", folder, compress::Split::test).first(2000);
  double least_float = 1e9, least_integer = 1e9;
  for (int round = 0; round < 5; ++round) {
    least_float = std::min(least_float, seconds([&] { compress::logits(graph, data); }));
    least_integer = std::min(least_integer, seconds([&] { compress::integer_accuracy(network, data); }));
  }
  std::cout << "resnet20, 2,000 pictures: float " << least_float << " s, requantised " << least_integer
            << " s\n";
  CHECK(least_integer <= least_float);
}
