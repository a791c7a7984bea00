#include "protocols/ciphertext/layer_samples.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/protocols/parties.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

std::vector<const WideVector*> operands_of(const models::Node& node, const std::vector<WideVector>& tensors) {
  std::vector<const WideVector*> operands;
  for (const std::size_t operand : node.inputs) operands.push_back(&tensors[operand]);
  return operands;
}

TEST_CASE("sampled places are different, ascending and spread") {
  test::SeededRng rng(61);
  for (const std::uint64_t size : {1U, 7U, 64U, 1000003U}) {
    const std::vector<std::uint32_t> places = sample_places(size, 64, rng);
    REQUIRE(places.size() == std::min<std::uint64_t>(size, 64));
    REQUIRE(std::ranges::adjacent_find(places, std::greater_equal<>()) == places.end());
    for (std::size_t k = 0; k < places.size(); ++k) {
      CHECK(places[k] >= k * size / places.size());
      CHECK(places[k] < (k + 1) * size / places.size());
    }
  }
  CHECK(sample_places(0, 5, rng).empty());
}

TEST_CASE("samples of every kind of layer agree with the plaintext, and a wrong value is found") {
  test::SeededRng rng(62);
  std::size_t found = 0, compared = 0;
  for (int round = 0; round < 10; ++round) {
    const models::IntegerNetwork network = test::random_network(rng);
    const test::Party& party = test::party(test::fitting_key_bits(network));
    const std::vector<WideVector> tensors = models::evaluate_all(network, test::random_input(rng, network));
    LayerSamples samples(network, party.owner, party.context, round % 2 == 0 ? "oblivious" : "blinded", rng);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const models::Node& node = network.nodes[i];
      CAPTURE(round, node.name);
      const std::size_t values = samples.check(i, operands_of(node, tensors), tensors[i], 5);
      compared += values;
      const bool computes = node.kind != models::NodeKind::flatten && node.kind != models::NodeKind::output &&
                            node.kind != models::NodeKind::max_pool2d;
      if (!computes) continue;
      REQUIRE(values > 0);
      // All values are sampled, one of them is wrong.
      WideVector wrong = tensors[i];
      const auto at = static_cast<std::size_t>(rng.below(wrong.size()));
      wrong[at][0] ^= 1;
      if (node.kind == models::NodeKind::input) continue;  // what is encrypted is what is expected
      CHECK_THROWS_AS(samples.check(i, operands_of(node, tensors), wrong, 8 * wrong.size()), CheckError);
      ++found;
    }
  }
  CHECK(found > 60);
  CHECK(compared > 200);
}

}  // namespace
}  // namespace popcorn::protocols
