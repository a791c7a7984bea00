#include "models/datasets/test_set.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file.h"
#include "models/datasets/dataset.h"
#include "tests/support/data_folder.h"
#include "tests/support/process.h"

using namespace popcorn;
using namespace popcorn::datasets;

namespace {

models::IntegerNetwork network(const models::Shape& input) {
  models::IntegerNetwork result;
  result.encoding.shape = input;
  result.encoding.color = input.channels == 3 ? "rgb" : "gray";
  result.encoding.offset = {0};
  return result;
}

Bytes idx(const std::vector<std::uint32_t>& sizes, std::size_t samples) {
  Bytes file = {0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::uint32_t size : sizes)
    for (int shift = 24; shift >= 0; shift -= 8) file.push_back(static_cast<std::uint8_t>(size >> shift));
  for (std::size_t i = 0; i < samples; ++i) file.push_back(static_cast<std::uint8_t>(i));
  return file;
}

}  // namespace

TEST_CASE("The set follows from the network's facts, else from its input") {
  const test::TemporaryFolder folder;
  write_file(folder.path("t10k-images-idx3-ubyte"), idx({5, 28, 28}, 5 * 784));
  write_file(folder.path("t10k-labels-idx1-ubyte"), idx({5}, 5));
  write_file(folder.path("test_batch.bin"), Bytes(2 * 3073, 4));
  write_file(folder.path("9_nine.pgm"), as_bytes(std::string("P5 2 2 255\n\1\2\3\4")));
  const TestSetChoice choice{folder.path("")};
  const TestSet digits = open_test_set(choice, network({1, 28, 28}));
  CHECK(digits.name == "mnist");
  CHECK(digits.labels == std::vector<std::uint16_t>{0, 1, 2, 3, 4});
  CHECK(digits.image(1).samples[0] == 784 % 256);
  CHECK(open_test_set(choice, network({3, 32, 32})).count() == 2);
  const TestSet pictures = open_test_set(choice, network({3, 8, 8}));
  CHECK(pictures.labels == std::vector<std::uint16_t>{9});
  CHECK(pictures.image(0).samples == std::vector<std::uint8_t>{1, 2, 3, 4});
  CHECK(pictures.name == std::filesystem::path(folder.path("")).parent_path().filename());
  models::IntegerNetwork vector = network({784, 1, 1});
  vector.facts = {{"dataset", "mnist"}};
  CHECK(open_test_set(choice, vector).count() == 5);
  CHECK(open_test_set({folder.path(""), "folder"}, network({1, 28, 28})).count() == 1);
  CHECK(open_test_set({folder.path(""), "mnist", 3}, network({3, 8, 8})).count() == 3);
  CHECK_THROWS_AS(open_test_set({folder.path(""), "folder", 0, 1}, network({3, 8, 8})), UsageError);
  CHECK_THROWS_AS(open_test_set({folder.path("absent")}, network({1, 28, 28})), IoError);
}

TEST_CASE("Pixels of CIFAR-10 reach the network in their places") {
  const test::TemporaryFolder folder;
  Bytes record(3073);
  for (std::size_t i = 1; i < record.size(); ++i) record[i] = static_cast<std::uint8_t>(i * 31 + i / 1024);
  write_file(folder.path("test_batch.bin"), record);
  const models::IntegerNetwork colours = network({3, 32, 32});
  const TestSet set = open_test_set({folder.path("")}, colours);
  const WideVector values = models::encode_image(colours.encoding, set.image(0));
  for (std::size_t i = 0; i < 3072; ++i) REQUIRE(values.to_int64(i) == record[i + 1]);
}

TEST_CASE("MNIST's test set has 10,000 images") {
  const auto images = test::data_file("mnist/t10k-images-idx3-ubyte.gz");
  if (!images) return;
  const TestSet set = open_test_set({images->parent_path()}, network({1, 28, 28}));
  CHECK(set.count() == 10000);
  CHECK(set.labels[0] == 7);
}
