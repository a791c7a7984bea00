// Accuracy of the requantised form of every shipped network; not part of the usual run:
//   build/tests/test_requantise "[accuracy]"    with the data sets' folder in POPCORN_DATA
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>

#include "models/datasets/dataset.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

std::vector<std::int16_t> integer_inputs(const IntegerNetwork& network, const datasets::Dataset& data) {
  const std::vector<std::int64_t>& offsets = network.encoding.offset;
  const auto plane = static_cast<std::size_t>(data.shape.height * data.shape.width);
  std::vector<std::int16_t> inputs;
  for (std::size_t i = 0; i < data.pixels.size(); ++i) {
    const std::size_t channel = i / plane % static_cast<std::size_t>(data.shape.channels);
    inputs.push_back(static_cast<std::int16_t>(data.pixels[i] - offsets[offsets.size() == 1 ? 0 : channel]));
  }
  return inputs;
}

double accuracy(const IntegerNetwork& network, const datasets::Dataset& data,
                const EvaluationOptions& options = {}) {
  const FastEvaluator evaluator(network);
  const std::vector<double> logits = evaluator.run(integer_inputs(network, data), data.count(), options);
  const auto classes = static_cast<std::size_t>(network.output().shape.size());
  std::size_t right = 0;
  for (std::size_t i = 0; i < data.count(); ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
    right += static_cast<std::size_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) -
                                      row) == data.classes[i];
  }
  return 100 * static_cast<double>(right) / static_cast<double>(data.count());
}

void check_form(const std::string& name, const datasets::Dataset& data, double most_lost) {
  const IntegerNetwork exact = read_network("models/" + name + ".popcorn");
  const IntegerNetwork form = read_network("models/requantised/" + name + ".popcorn");
  REQUIRE(FastEvaluator(form).is_exact());
  RangeCounts counts(form);
  const double before = accuracy(exact, data);
  const double nearest = accuracy(form, data, {Rounding(), 0, &counts});
  double fast = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    fast += accuracy(form, data, {Rounding::stochastic(seed), 0, nullptr}) / 3;
  }
  std::cout << std::fixed << std::setprecision(2) << name << ": exact " << before << ", nearest " << nearest
            << ", fast " << fast << " (mean of 3), " << counts.beyond() << " of " << counts.values()
            << " values beyond their range\n";
  CHECK(nearest >= before - most_lost);
  CHECK(static_cast<double>(counts.beyond()) <= 1e-7 * static_cast<double>(counts.values()));
}

}  // namespace

TEST_CASE("the requantised MNIST networks", "[.][accuracy]") {
  const char* folder = std::getenv("POPCORN_DATA");
  REQUIRE(folder != nullptr);
  const datasets::Dataset data = datasets::read_dataset("mnist", folder, datasets::Split::test);
  for (const char* name : {"mnist-mlp", "mnist-conv1", "mnist-conv2", "mnist-lenet", "mnist-bnn"}) {
    check_form(name, data, 0.2);
  }
}

TEST_CASE("the requantised CIFAR-10 networks", "[.][accuracy]") {
  const char* folder = std::getenv("POPCORN_DATA");
  REQUIRE(folder != nullptr);
  const datasets::Dataset data = datasets::read_dataset("cifar10", folder, datasets::Split::test);
  for (const char* name : {"cifar10-conv7", "cifar10-resnet20", "cifar10-bnn"}) check_form(name, data, 0.5);
}
