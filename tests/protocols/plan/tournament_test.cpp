#include "protocols/plan/tournament.h"

#include <catch2/catch.hpp>

#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/sliding_window.h"
#include "tests/support/random_network.h"

namespace popcorn::protocols {
namespace {

using models::Node;
using models::NodeKind;
using models::Shape;
using models::Window;

Node pool_node(const Window& window, const Shape& input) {
  Node node;
  node.kind = NodeKind::max_pool2d;
  node.name = "pool";
  node.window = window;
  node.shape = {input.channels,
                models::window_outputs(input.height, window.kernel_height, window.stride_height,
                                       window.pad_top, window.pad_bottom, window.dilation_height),
                models::window_outputs(input.width, window.kernel_width, window.stride_width, window.pad_left,
                                       window.pad_right, window.dilation_width)};
  return node;
}

Window square(std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0) {
  Window window;
  window.kernel_height = window.kernel_width = kernel;
  window.stride_height = window.stride_width = stride;
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = padding;
  return window;
}

/// Plays a tournament on plain integers.
std::vector<std::int64_t> play(const Tournament& tournament, std::vector<std::int64_t> values) {
  for (const Tournament::Level& level : tournament.levels) {
    std::vector<std::int64_t> next;
    for (std::size_t i = 0; i < level.left.size(); ++i) {
      next.push_back(std::max(values.at(level.left[i]), values.at(level.right[i])));
    }
    for (const std::uint32_t place : level.kept) next.push_back(values.at(place));
    values = std::move(next);
  }
  std::vector<std::int64_t> result;
  for (const std::uint32_t place : tournament.result) result.push_back(values.at(place));
  return result;
}

TEST_CASE("a tournament finds the maxima of random max-pool layers") {
  test::SeededRng rng(11);
  test::RandomNetworkOptions options;
  options.kinds = {NodeKind::max_pool2d, NodeKind::conv2d};
  options.max_extent = 9;
  std::size_t pools = 0;
  for (int round = 0; round < 60; ++round) {
    const models::IntegerNetwork network = test::random_network(rng, options);
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      const Node& node = network.nodes[i];
      if (node.kind != NodeKind::max_pool2d) continue;
      ++pools;
      const Shape& shape = network.nodes[node.inputs.front()].shape;
      WideVector input(static_cast<std::size_t>(shape.size()), 1);
      std::vector<std::int64_t> values;
      for (std::size_t k = 0; k < input.size(); ++k) {
        values.push_back(rng.between(-50, 50));
        input.set_int64(k, values.back());
      }
      const WideVector expected = models::evaluate_node(network, i, {&input});
      CHECK(WideVector::from_int64(play(plan_tournament(node, shape), values)) == expected);
    }
  }
  REQUIRE(pools > 50);
}

TEST_CASE("overlapping windows share the maxima of rows or columns") {
  const Shape input{2, 13, 13};
  const Tournament tournament = plan_tournament(pool_node(square(3, 2), input), input);
  // 13 rows of 6 windows of 3, then 6 × 6 windows of 3 row maxima.
  CHECK(tournament.comparisons() == 2 * (13 * 6 * 2 + 36 * 2));
  CHECK(tournament.levels.size() == 4);
  // One comparison a window element less one where windows do not overlap.
  const Tournament disjoint = plan_tournament(pool_node(square(2, 2), Shape{3, 8, 8}), Shape{3, 8, 8});
  CHECK(disjoint.comparisons() == 3 * 16 * 3);
  CHECK(disjoint.levels.size() == 2);
}

TEST_CASE("no more comparisons than the windows taken one by one, and only as many levels as needed") {
  test::SeededRng rng(12);
  for (int round = 0; round < 200; ++round) {
    const Shape input{1, rng.between(3, 12), rng.between(3, 12)};
    Window window;
    window.kernel_height = rng.between(1, 3);
    window.kernel_width = rng.between(1, 3);
    window.stride_height = rng.between(1, 3);
    window.stride_width = rng.between(1, 3);
    const Node node = pool_node(window, input);
    const auto kernel = static_cast<std::uint64_t>(window.kernel_height * window.kernel_width);
    const Tournament tournament = plan_tournament(node, input);
    CHECK(tournament.comparisons() <= static_cast<std::uint64_t>(node.shape.size()) * (kernel - 1));
    CHECK(tournament.levels.size() <= 4);
    CHECK(tournament.result.size() == static_cast<std::size_t>(node.shape.size()));
  }
}

TEST_CASE("windows of one element need no comparison") {
  const Shape input{2, 5, 5};
  const Tournament tournament = plan_tournament(pool_node(square(1, 2), input), input);
  CHECK(tournament.levels.empty());
  CHECK(tournament.result.size() == 18);
  CHECK(tournament.result[1] == 2);
}

TEST_CASE("padding is absent, not zero") {
  const Shape input{1, 2, 2};
  const Node node = pool_node(square(3, 1, 1), input);
  CHECK(play(plan_tournament(node, input), {-4, -3, -2, -9}) == std::vector<std::int64_t>{-2, -2, -2, -2});
}

}  // namespace
}  // namespace popcorn::protocols
