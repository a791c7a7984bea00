// The shipped requantised networks on real pictures, every tensor against the evaluator.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "models/datasets/test_set.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run_local.h"
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

TEST_CASE("figures of networks on shares", "[.][figures]") {
  // Networks: those of POPCORN_SHARES_NETWORKS, paths with commas between, else all that ship.
  std::vector<std::string> paths;
  const char* const chosen = std::getenv("POPCORN_SHARES_NETWORKS");
  std::istringstream list(chosen == nullptr ? "" : chosen);
  for (std::string path; std::getline(list, path, ',');) paths.push_back(path);
  if (paths.empty()) {
    for (const auto& entry : std::filesystem::directory_iterator("models/requantised"))
      paths.push_back(entry.path().string());
    std::ranges::sort(paths);
  }
  test::SeededRng rng(402);
  for (const std::string& path : paths) {
    const models::IntegerNetwork network = models::read_network(path);
    WideVector input(static_cast<std::size_t>(network.input().shape.size()), 1);
    for (std::size_t i = 0; i < input.size(); ++i)
      input.set_int64(i, (network.encoding.low + network.encoding.high) / 2);
    for (unsigned kind = 0; kind < 4; ++kind) {
      ShareOptions options;
      options.rounding = kind < 2 ? ShareRounding::nearest : ShareRounding::fast;
      options.few_flights = kind % 2 == 1;
      LocalShares shares(network, options, rng);
      const ShareCost cost = predict_shares(shares.plan());
      const DealtPreparation preparation = deal_preparation(network, shares.plan(), rng);
      OpenedCheck check(network, input);
      const LocalInference run = shares.infer(input, preparation);
      if (kind < 2) shares.infer(input, preparation, check.observer());
      std::cout << network.name << (kind < 2 ? ", nearest" : ", fast")
                << (kind % 2 == 1 ? ", few flights" : "") << ": " << cost.all.flights << " flights, down "
                << cost.all.bytes[0] << ", up " << cost.all.bytes[1] << " bytes; transfers "
                << cost.all.transfers[0] << " + " << cost.all.transfers[1] << ", made ahead with "
                << run.transfers.bytes[0] + run.transfers.bytes[1] << " bytes in " << run.transfers.seconds[0]
                << " + " << run.transfers.seconds[1] << " s; counted " << run.online.flights << " flights, "
                << run.online.bytes[0] << " + " << run.online.bytes[1] << " bytes; server "
                << run.online.seconds[0] << " s, client " << run.online.seconds[1] << " s; wrong "
                << check.wrong() << " of " << check.values() << std::endl;
      CHECK(check.wrong() == 0);
    }
  }
}
