// Real images through the real service on shares. Hidden: it takes a while, and needs a data folder.
//   POPCORN_DATA=DIR POPCORN_CHECK_MODEL=mnist-conv2 POPCORN_CHECK_IMAGES=500 POPCORN_CHECK_BITS=2048
//   build/tests/test_service "[test-set]"
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "models/datasets/test_set.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "tests/service/service_fixture.h"

using namespace popcorn;
using namespace popcorn::test;

namespace {

std::string setting(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

}  // namespace

TEST_CASE("Answers through the service are those of the plaintext network on test images",
          "[.][shares][test-set]") {
  const std::string name = setting("POPCORN_CHECK_MODEL", "mnist-conv2");
  const bool is_path = name.find('/') != std::string::npos;
  const models::IntegerNetwork network =
      models::read_network(is_path ? name : "models/requantised/" + name + ".popcorn");
  datasets::TestSetChoice choice;
  choice.folder = setting("POPCORN_DATA", "");
  choice.limit = std::stoul(setting("POPCORN_CHECK_IMAGES", "20"));
  if (choice.folder.empty()) {
    WARN("POPCORN_DATA is not set: nothing was checked");
    return;
  }
  const auto bits = static_cast<unsigned>(std::stoul(setting("POPCORN_CHECK_BITS", "2048")));
  const auto owner = std::make_shared<const paillier::KeyOwner>(paillier::PrivateKey::generate(
      bits, paillier::KeyKind::ordinary, paillier::KeySizePolicy::insecure_test));
  const datasets::TestSet data = datasets::open_test_set(choice, network);
  service::ServerOptions options = small_server_options();
  options.models = {protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {"shares"})};
  options.token_limits = {1000, 1'000'000};
  const RunningServer server(options);
  service::Client client(server.url());
  const auto bundle = client.bundle(network.name);
  const auto start = std::chrono::steady_clock::now();
  std::size_t equal = 0, right = 0;
  for (std::size_t i = 0; i < data.count(); ++i) {
    const WideVector input = data.input(network.encoding, i);
    const WideVector logits = client.infer(bundle, owner, input).logits;
    const WideVector expected = models::evaluate(network, input);
    INFO("image " << i);
    CHECK(logits == expected);
    equal += logits == expected ? 1 : 0;
    std::size_t best = 0;
    for (std::size_t k = 1; k < logits.size(); ++k) {
      if (WideVector::compare(logits, k, logits, best) > 0) best = k;
    }
    right += best == data.labels[i] ? 1 : 0;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << network.name << ", " << bits << " bits: " << equal << " of " << data.count()
            << " answers equal the plaintext network's, bit for bit; " << right << " right; "
            << seconds.count() << " s" << std::endl;
}
