// Plans, pools, groups, and sums in the clear.
#include "protocols/shares/plan/share_plan.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_file.h"
#include "models/network/sliding_window.h"
#include "protocols/shares/plan/share_plan_groups.h"
#include "protocols/shares/run/clear_sums.h"
#include "protocols/shares/run/share_cost.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::protocols::shares;
namespace ot = popcorn::protocols::ot;

TEST_CASE("sums in the clear equal the evaluator's modulo 2^32", "[shares][clear]") {
  test::SeededRng rng(301);
  test::RandomNetworkOptions options;
  options.max_extent = 12;
  options.max_channels = 6;
  options.nodes = 4;
  options.kinds = {models::NodeKind::conv2d, models::NodeKind::conv2d, models::NodeKind::flatten,
                   models::NodeKind::dense};
  std::size_t compared = 0;
  for (int round = 0; round < 120; ++round) {
    const models::IntegerNetwork network = test::random_network(rng, options);
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
      const models::Node& node = network.nodes[i];
      if (node.kind != models::NodeKind::conv2d && node.kind != models::NodeKind::dense) continue;
      const models::Shape& shape = network.nodes[node.inputs.front()].shape;
      WideVector x(static_cast<std::size_t>(shape.size()), 1);
      ot::Words share;
      for (std::size_t j = 0; j < x.size(); ++j) {
        share.push_back(static_cast<std::uint32_t>(rng.next_u64()));
        x.set_int64(j, share.back());
      }
      const WideVector expected = models::evaluate_node(network, i, {&x});
      const ot::Words sums = ClearSums(node, shape)(share);
      REQUIRE(sums.size() == expected.size());
      for (std::size_t j = 0; j < sums.size(); ++j)
        REQUIRE(sums[j] == static_cast<std::uint32_t>(expected.to_int64(j)));
      compared += sums.size();
    }
  }
  CHECK(compared > 5000);
}

TEST_CASE("rounds of maxima and disjunctions cover every window", "[shares][pool]") {
  test::SeededRng rng(302);
  std::size_t pools = 0;
  for (int round = 0; round < 400; ++round) {
    const models::Shape input{1, rng.between(1, 9), rng.between(1, 9)};
    models::Window window;
    window.kernel_height = rng.between(1, 4);
    window.kernel_width = rng.between(1, 4);
    window.stride_height = rng.between(1, 3);
    window.stride_width = rng.between(1, 3);
    window.pad_top = rng.between(0, window.kernel_height - 1);
    window.pad_right = rng.between(0, window.kernel_width - 1);
    const models::Shape output{1,
                               models::window_outputs(input.height, window.kernel_height,
                                                      window.stride_height, window.pad_top, 0, 1),
                               models::window_outputs(input.width, window.kernel_width, window.stride_width,
                                                      0, window.pad_right, 1)};
    const models::Axis rows = models::vertical_axis(window, input, output);
    const models::Axis columns = models::horizontal_axis(window, input, output);
    if (output.size() == 0 || rows.taps_inside().begin == 0 || columns.taps_inside().begin == 0) continue;
    ++pools;
    // Every value is the set of the places that went into it.
    using Set = std::set<std::uint32_t>;
    std::vector<Set> start;
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(input.size()); ++i) start.push_back({i});
    std::vector<Set> values = start;
    std::size_t maxima = 0;
    const MaximumRounds plan = plan_maxima(window, input, output);
    for (const MaximumRound& step : plan.rounds) {
      REQUIRE(step.size == values.size());
      std::vector<Set> next;
      for (std::size_t i = 0; i < step.left.size(); ++i) {
        next.push_back(values[step.left[i]]);
        next.back().insert(values[step.right[i]].begin(), values[step.right[i]].end());
      }
      for (const std::uint32_t place : step.kept) next.push_back(values[place]);
      maxima += step.left.size();
      values = next;
    }
    std::vector<Set> bits = start;
    const DisjunctionRounds tables = plan_disjunctions(window, input, output);
    for (const DisjunctionRound& step : tables.rounds) {
      REQUIRE(step.inputs <= kMostConjoined);
      std::vector<Set> next(step.members.size() / step.inputs);
      for (std::size_t i = 0; i < step.members.size(); ++i)
        next[i / step.inputs].insert(bits[step.members[i]].begin(), bits[step.members[i]].end());
      bits = next;
    }
    std::size_t at = 0, one_by_one = 0;
    for (std::int64_t row = 0; row < output.height; ++row) {
      for (std::int64_t column = 0; column < output.width; ++column, ++at) {
        Set expected;
        const models::Range down = rows.taps_of_output(row), across = columns.taps_of_output(column);
        for (std::int64_t i = down.begin; i < down.end; ++i) {
          for (std::int64_t j = across.begin; j < across.end; ++j)
            expected.insert(static_cast<std::uint32_t>(rows.input_at(row, i) * input.width +
                                                       columns.input_at(column, j)));
        }
        one_by_one += expected.size() - 1;
        REQUIRE(values[plan.order[at]] == expected);
        REQUIRE(bits[tables.order[at]] == expected);
      }
    }
    if (window.stride_height >= window.kernel_height && window.stride_width >= window.kernel_width)
      CHECK(maxima == one_by_one);
  }
  CHECK(pools > 200);
}

TEST_CASE("groups shrink any number of values to one in as few rounds as can be", "[shares][plan]") {
  for (const unsigned most : {2U, 5U, 6U}) {
    for (std::size_t count = 1; count <= 1000; ++count) {
      std::size_t left = count;
      for (const unsigned size : group_sizes(count, most)) {
        REQUIRE(size >= 2);
        REQUIRE(size <= most);
        left = (left + size - 1) / size;
      }
      REQUIRE(left == 1);
    }
  }
  CHECK(group_sizes(10, 6) == std::vector<unsigned>{4, 4});
  CHECK(group_sizes(1000, 6) == std::vector<unsigned>{6, 6, 6, 6});
  CHECK(group_sizes(9, 5) == std::vector<unsigned>{3, 3});
}

TEST_CASE("a network that was never requantised is refused by name", "[shares][plan]") {
  const models::IntegerNetwork network = models::read_network("models/cifar10-conv7.popcorn");
  try {
    plan_shares(share_network(network));
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.code() == "shares.ring");
    const std::string what = error.what();
    CAPTURE(what);
    CHECK(what.find("'") != std::string::npos);
    CHECK(what.find("--activation-bits") != std::string::npos);
  }
}

TEST_CASE("plans of the shipped networks", "[shares][plan]") {
  struct Case {
    const char* name;
    std::uint64_t most_flights;
  };
  for (const Case& one : {Case{"mnist-conv2", 90}, Case{"mnist-bnn", 60}, Case{"cifar10-conv7", 140},
                          Case{"cifar10-resnet20", 400}}) {
    const models::IntegerNetwork network =
        models::read_network(std::string("models/requantised/") + one.name + ".popcorn");
    ShareOptions fast;
    fast.rounding = ShareRounding::fast;
    ShareOptions few = {};
    few.few_flights = true;
    const ShareStepCost nearest = predict_shares(plan_shares(share_network(network))).all;
    const ShareStepCost quick = predict_shares(plan_shares(share_network(network), fast)).all;
    const ShareStepCost fewer = predict_shares(plan_shares(share_network(network), few)).all;
    CAPTURE(one.name, nearest.flights, quick.flights, fewer.flights);
    CHECK(nearest.flights < one.most_flights);
    CHECK(quick.flights <= nearest.flights);
    CHECK(fewer.flights < nearest.flights);
    CHECK(quick.bytes[0] + quick.bytes[1] <= nearest.bytes[0] + nearest.bytes[1]);
    // A second derivation from the same public facts is the same.
    CHECK(predict_shares(plan_shares(share_network(network))).flights ==
          predict_shares(plan_shares(share_network(network))).flights);
  }
}
