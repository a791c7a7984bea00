#include "protocols/plan/steps.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/ciphertext/sign/blinded_sign_protocol.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/slots.h"
#include "protocols/plan/tournament.h"
#include "protocols/security.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

/// input ─ dense ─ relu ─ output, with one weight and bias, so that bounds are known.
IntegerNetwork scaled_network(std::int32_t weight) {
  IntegerNetwork network;
  network.name = "scaled";
  network.encoding.low = -10;
  network.encoding.high = 20;
  Node input;
  input.name = "in";
  input.shape = {3, 1, 1};
  Node dense;
  dense.kind = NodeKind::dense;
  dense.name = "dense";
  dense.inputs = {0};
  dense.weights = {weight, 0, 0, 0, 1, 0};
  dense.bias = WideVector(2, 1);
  Node relu;
  relu.kind = NodeKind::relu;
  relu.name = "relu";
  relu.inputs = {1};
  Node output;
  output.kind = NodeKind::output;
  output.name = "out";
  output.inputs = {2};
  network.nodes = {input, dense, relu, output};
  network.finish();
  return network;
}

TEST_CASE("a step's width is the bound of what is compared") {
  const std::vector<Step> steps = plan_steps(scaled_network(5));
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].kind == StepKind::relu);
  CHECK(steps[0].name == "relu");
  CHECK(steps[0].node == 2);
  CHECK(steps[0].count == 2);
  CHECK(steps[0].bits == 7);  // 5·20 = 100 < 2^7
}

TEST_CASE("a max-pool compares differences: its width is that of high − low") {
  test::SeededRng rng(51);
  test::RandomNetworkOptions options;
  options.kinds = {NodeKind::max_pool2d, NodeKind::conv2d};
  std::size_t levels = 0;
  for (int round = 0; round < 30; ++round) {
    const IntegerNetwork network = test::random_network(rng, options);
    for (const Step& step : plan_steps(network)) {
      const Node& node = network.nodes[step.node];
      const Node& operand = network.nodes[node.inputs.front()];
      REQUIRE(step.kind == StepKind::max_pool);
      // Of one channel at least, and no more than twice the largest magnitude.
      const models::Bounds& bounds = operand.bounds;
      for (std::size_t channel = 0; channel < bounds.low.size(); ++channel) {
        REQUIRE(bounds.high.fits_int64(channel));
        const std::int64_t range = bounds.high.to_int64(channel) - bounds.low.to_int64(channel);
        CHECK(range < std::int64_t{1} << step.bits);
      }
      CHECK(step.bits <= bounds.bits + 1);
      const Tournament tournament = plan_tournament(node, operand.shape);
      CHECK(step.count == tournament.levels[step.level].left.size());
      CHECK(step.name == node.name + "/" + std::to_string(step.level + 1));
      ++levels;
    }
  }
  REQUIRE(levels > 20);
}

TEST_CASE("a large layer is cut into steps of at most a chunk that cover it") {
  test::SeededRng rng(52);
  for (int round = 0; round < 30; ++round) {
    const IntegerNetwork network = test::random_network(rng);
    const std::vector<Step> whole = plan_steps(network);
    const std::uint64_t chunk = static_cast<std::uint64_t>(rng.between(1, 9));
    const std::vector<Step> parts = plan_steps(network, chunk);
    std::size_t next = 0;
    for (const Step& step : whole) {
      std::uint64_t covered = 0;
      std::uint64_t number = 1;
      while (covered < step.count) {
        REQUIRE(next < parts.size());
        const Step& part = parts[next++];
        CHECK(part.count <= chunk);
        CHECK(part.first == covered);
        CHECK(part.node == step.node);
        CHECK(part.level == step.level);
        CHECK(part.bits == step.bits);
        CHECK(part.name == (step.count <= chunk ? step.name : step.name + "#" + std::to_string(number)));
        covered += part.count;
        ++number;
      }
      CHECK(covered == step.count);
    }
    CHECK(next == parts.size());
  }
}

TEST_CASE("a network too wide for the key is refused with the node's name") {
  // |x| < 2^ℓ needs ℓ + κ + 1 bits of 256 − 2: ℓ = 125 is the most.
  IntegerNetwork network = scaled_network(1);
  network.nodes[1].bias = WideVector(2, 3);
  const auto code_with_bias_bits = [&](unsigned bits) {
    for (std::uint64_t& word : network.nodes[1].bias[0]) word = 0;
    network.nodes[1].bias[0][(bits - 1) / 64] = std::uint64_t{1} << ((bits - 1) % 64);
    network.nodes[1].bounds = {};
    network.finish();
    REQUIRE(network.nodes[1].bounds.bits == bits);
    try {
      step_list(network, 256);
    } catch (const InputError& error) {
      CHECK_THAT(error.what(), Catch::Contains("\"relu\""));
      return error.code();
    }
    return std::string();
  };
  CHECK(code_with_bias_bits(125).empty());
  CHECK(code_with_bias_bits(126) == "model.too_wide");
}

TEST_CASE("slots fit the plaintext and hold the widest value") {
  for (const unsigned key_bits : {256U, 2048U, 3072U}) {
    for (unsigned bits = 1; bits < 120; bits += 7) {
      const SlotLayout share = share_layout(bits, key_bits);
      CHECK(share.slot_bits == bits + kStatisticalSecurity + 2);
      CHECK(share.per_ciphertext * share.slot_bits <= key_bits - 2);
      CHECK((share.per_ciphertext + 1) * share.slot_bits > key_bits - 2);
      CHECK(mask_bits(bits) + 1 == share.slot_bits);
      CHECK(share.ciphertexts(0) == 0);
      CHECK(share.ciphertexts(share.per_ciphertext) == 1);
      CHECK(share.ciphertexts(share.per_ciphertext + 1) == 2);
    }
  }
  CHECK_THROWS_AS(share_layout(240, 256), InputError);
}

}  // namespace
}  // namespace popcorn::protocols
