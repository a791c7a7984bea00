// The shipped requantised networks on real pictures, every tensor against the evaluator.
#include <catch2/catch.hpp>

#include "models/datasets/test_set.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "protocols/shares/share_cost.h"
#include "protocols/shares/share_run_local.h"
#include "tests/support/data_folder.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::protocols::shares;

namespace {

void check_network(const std::string& name, const std::string& dataset, const std::string& pictures_file,
                   std::size_t pictures) {
  const auto file = test::data_file(dataset + "/" + pictures_file);
  if (!file) return;
  const models::IntegerNetwork network = models::read_network("models/requantised/" + name + ".popcorn");
  const datasets::TestSet data = datasets::open_test_set({file->parent_path(), dataset, pictures}, network);
  test::SeededRng rng(401);
  for (const bool few_flights : {false, true}) {
    ShareOptions options;
    options.few_flights = few_flights;
    LocalShares shares(network, options, rng);
    const ShareCost cost = predict_shares(shares.plan());
    for (std::size_t i = 0; i < data.count(); ++i) {
      const WideVector input = data.input(network.encoding, i);
      OpenedCheck check(network, input);
      const LocalInference run = shares.infer(input, check.observer());
      INFO(name << ", picture " << i << ": " << check.first_wrong());
      REQUIRE(check.wrong() == 0);
      REQUIRE(WideVector::from_int64(run.answer.logits) == models::evaluate(network, input));
      REQUIRE(run.online.flights == cost.all.flights);
      REQUIRE(run.online.bytes == cost.all.bytes);
      REQUIRE(run.transfers_used == cost.all.transfers);
    }
  }
}

}  // namespace

TEST_CASE("the requantised MNIST networks on shares are bit for bit the network", "[shares][shipped]") {
  for (const char* name : {"mnist-mlp", "mnist-conv1", "mnist-conv2", "mnist-lenet", "mnist-bnn"})
    check_network(name, "mnist", "t10k-images-idx3-ubyte.gz", 4);
}

TEST_CASE("the requantised CIFAR-10 networks on shares are bit for bit the network", "[shares][shipped]") {
  for (const char* name : {"cifar10-conv7", "cifar10-resnet20"})
    check_network(name, "cifar10", "test_batch.bin.xz", 2);
}
