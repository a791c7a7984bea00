#include "protocols/ciphertext/steps/linear_layer.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

/// y of a map on plain integers, straight from the definition in paillier/weighted_sum/weighted_sum.h.
std::vector<std::int64_t> apply_map(const paillier::LinearMap& map, const std::vector<std::int64_t>& x) {
  std::vector<std::int64_t> y(map.outputs());
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    for (std::size_t position = 0; position < map.positions; ++position) {
      std::int64_t sum = map.bias.to_int64(channel);
      for (std::uint32_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
        const std::uint32_t place = map.input_index[map.tap[k] * map.positions + position];
        if (place != paillier::LinearMap::kPadding) sum += map.weight[k] * x.at(place);
      }
      y[channel * map.positions + position] = sum;
    }
  }
  return y;
}

TEST_CASE("the map of a random dense, conv2d or sum_pool2d node is that node") {
  test::SeededRng rng(21);
  std::size_t checked = 0;
  for (int round = 0; round < 80; ++round) {
    const models::IntegerNetwork network = test::random_network(rng);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const models::Node& node = network.nodes[i];
      const bool has_map = node.kind == models::NodeKind::dense || node.kind == models::NodeKind::conv2d ||
                           node.kind == models::NodeKind::sum_pool2d;
      if (!has_map) continue;
      const std::size_t size = static_cast<std::size_t>(network.nodes[node.inputs.front()].shape.size());
      std::vector<std::int64_t> x(size);
      for (std::int64_t& value : x) value = rng.between(-9, 9);
      // Small inputs whatever the static bounds allow: compare modulo nothing, both are exact.
      const WideVector input = WideVector::from_int64(x);
      const paillier::LinearMap map = linear_map(network, i);
      CAPTURE(node.name, to_string(node.kind));
      CHECK(map.inputs == size);
      CHECK(map.weight.size() ==
            (node.kind == models::NodeKind::sum_pool2d
                 ? static_cast<std::size_t>(node.window.kernel_height * node.window.kernel_width)
                 : node.nonzeros()));
      CHECK(WideVector::from_int64(apply_map(map, x)) == models::evaluate_node(network, i, {&input}));
      ++checked;
    }
  }
  REQUIRE(checked > 150);
}

TEST_CASE("only linear kinds have a map") {
  test::SeededRng rng(22);
  const models::IntegerNetwork network = test::random_network(rng);
  CHECK_THROWS_AS(linear_map(network, 0), Error);
  CHECK(LinearLayer::is_linear(models::NodeKind::add));
  CHECK(LinearLayer::is_linear(models::NodeKind::concat));
  CHECK_FALSE(LinearLayer::is_linear(models::NodeKind::relu));
  CHECK_FALSE(LinearLayer::is_linear(models::NodeKind::flatten));
}

}  // namespace
}  // namespace popcorn::protocols
