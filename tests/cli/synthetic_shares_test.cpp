// Synthetic networks in requantised form, and the sizes of the networks for ImageNet.
#include "cli/synthetic_shares.h"

#include <catch2/catch.hpp>

#include "cli/random_weights.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "models/network/value_range.h"
#include "tests/support/seeded_rng.h"

using namespace popcorn;
using namespace popcorn::cli;
using models::Node;
using models::NodeKind;

namespace {

/// Every layer with weights reads what was rounded, every value has a ring.
void check_rounded(const models::IntegerNetwork& network) {
  std::vector<bool> large(network.nodes.size(), false);
  for (std::size_t i = 1; i < network.nodes.size(); ++i) {
    const Node& node = network.nodes[i];
    INFO(node.name);
    bool reads_large = false;
    for (const std::size_t operand : node.inputs) reads_large = reads_large || large[operand];
    if (models::takes_weights(node.kind)) CHECK_FALSE(reads_large);
    large[i] = models::takes_weights(node.kind) || node.kind == NodeKind::add ||
               (reads_large && node.kind != NodeKind::rescale);
    if (large[i]) CHECK(models::ring_of(network, i) > 0);
    CHECK(node.ring_bits <= 28);
  }
}

}  // namespace

TEST_CASE("the networks for ImageNet have the sizes of torchvision's", "[cli]") {
  const models::IntegerNetwork resnet = synthetic_network(models::zoo_network("resnet50"));
  CHECK(resnet.weights() == 25'502'912);
  const models::IntegerNetwork densenet = synthetic_network(models::zoo_network("densenet121"));
  CHECK(densenet.weights() == 7'894'208);
  const models::IntegerNetwork mobilenet = synthetic_network(models::zoo_network("mobilenetv2"));
  CHECK(mobilenet.weights() == 3'469'760);
  for (const auto* network : {&resnet, &densenet, &mobilenet}) CHECK(network->output().shape.size() == 1000);
}

TEST_CASE("synthetic networks are requantised so that values stay in their rings", "[cli]") {
  for (const char* name : {"resnet50", "densenet121", "mobilenetv2", "alexnet"}) {
    INFO(name);
    const models::IntegerNetwork network = requantised_synthetic_network(models::zoo_network(name));
    REQUIRE(network.is_requantised());
    check_rounded(network);
    test::SeededRng rng(5);
    std::vector<std::int16_t> input;
    for (std::int64_t i = 0; i < network.input().shape.size(); ++i)
      input.push_back(static_cast<std::int16_t>(rng.between(network.encoding.low, network.encoding.high)));
    models::RangeCounts counts(network);
    models::FastEvaluator(network).run(input, 1, {models::Rounding(), 0, &counts});
    INFO(counts.beyond() << " of " << counts.values());
    // They serve for cost and speed; sums of many random residuals drift (resnet50: 0.4 %).
    CHECK(static_cast<double>(counts.beyond()) <= 1e-2 * static_cast<double>(counts.values()));
  }
}
