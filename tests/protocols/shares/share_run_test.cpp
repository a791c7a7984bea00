// The online phase against the plaintext evaluator: random networks of every kind, shipped ones on pictures.
#include "protocols/shares/run/share_run.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/value_range.h"
#include "protocols/shares/layer/preparation.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run_local.h"
#include "protocols/shares/share_facts.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::protocols::shares;

namespace {

test::RandomNetworkOptions share_options() {
  test::RandomNetworkOptions options = test::requantised_options();
  options.max_weight = 3;
  options.bias_bits = 6;
  return options;
}

void check_cost(const LocalInference& run, const SharePlan& plan) {
  const ShareCost cost = predict_shares(plan);
  CHECK(run.online.bytes[0] == cost.all.bytes[0]);
  CHECK(run.online.bytes[1] == cost.all.bytes[1]);
  CHECK(run.online.flights == cost.all.flights);
  CHECK(run.transfers_used[0] == cost.all.transfers[0]);
  CHECK(run.transfers_used[1] == cost.all.transfers[1]);
}

}  // namespace

TEST_CASE("random requantised networks on shares equal the evaluator bit for bit", "[shares][run]") {
  test::SeededRng rng(101);
  std::size_t done = 0, values = 0;
  std::array<std::size_t, 12> kinds{};
  for (int round = 0; round < 250; ++round) {
    models::IntegerNetwork network = test::random_network(rng, share_options());
    const WideVector input = test::random_input(rng, network);
    if (!test::fit_rings(network, input)) continue;
    ShareOptions options;
    options.few_flights = round % 2 == 1;
    options.chunk_values = round % 3 == 0 ? 20 : options.chunk_values;
    try {
      LocalShares shares(network, options, rng);
      OpenedCheck check(network, input);
      const LocalInference run = shares.infer(input, check.observer());
      INFO("round " << round << ": " << check.first_wrong());
      REQUIRE(check.wrong() == 0);
      const WideVector expected = models::evaluate(network, input);
      REQUIRE(run.answer.logits.size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) REQUIRE(run.answer.logits[i] == expected.to_int64(i));
      check_cost(run, shares.plan());
      values += check.values();
      ++done;
      for (const models::Node& node : network.nodes) ++kinds[static_cast<std::size_t>(node.kind)];
    } catch (const InputError& error) {
      REQUIRE(error.code() == "shares.ring");
    }
  }
  CAPTURE(done, values);
  CHECK(done > 100);
  for (const std::size_t count : kinds) CHECK(count > 10);
}

namespace {

/// conv2d, rescale, limit − max(limit − y, 0), dense: a clip as `compress` lowers it.
models::IntegerNetwork clipped_network(test::SeededRng& rng) {
  models::IntegerNetwork network;
  network.name = "clipped";
  const auto append = [&](models::NodeKind kind, const char* name) -> models::Node& {
    models::Node node;
    node.kind = kind;
    node.name = name;
    if (!network.nodes.empty()) node.inputs = {network.nodes.size() - 1};
    return network.nodes.emplace_back(std::move(node));
  };
  const auto weights = [&](models::Node& node, std::size_t count, std::int64_t outputs) {
    for (std::size_t i = 0; i < count; ++i)
      node.weights.push_back(static_cast<std::int32_t>(rng.below(7)) - 3);
    node.bias = WideVector(static_cast<std::size_t>(outputs), 1);
  };
  append(models::NodeKind::input, "input").shape = {3, 4, 4};
  models::Node& conv = append(models::NodeKind::conv2d, "conv");
  conv.window.kernel_height = conv.window.kernel_width = 3;
  conv.window.pad_top = conv.window.pad_left = conv.window.pad_bottom = conv.window.pad_right = 1;
  weights(conv, std::size_t{4} * 3 * 9, 4);
  conv.ring_bits = 18;
  models::Node& rescale = append(models::NodeKind::rescale, "rescale");
  rescale.shifts = {2, 3, 4, 5};
  rescale.rectify = true;
  WideVector limits(4, 1);
  for (std::size_t c = 0; c < 4; ++c) limits.set_int64(c, static_cast<std::int64_t>(1 + rng.below(60)));
  for (const char* name : {"rest", "clip"}) {
    models::Node& mirror = append(models::NodeKind::conv2d, name);
    mirror.groups = 4;
    mirror.weights.assign(4, -1);
    mirror.bias = limits;
    if (std::string_view(name) == "rest") append(models::NodeKind::relu, "over");
  }
  append(models::NodeKind::flatten, "flatten");
  models::Node& dense = append(models::NodeKind::dense, "dense");
  dense.shape = {3, 1, 1};
  weights(dense, std::size_t{3} * 64, 3);
  append(models::NodeKind::output, "output");
  network.finish();
  return network;
}

}  // namespace

TEST_CASE("a clip's negations cost no ciphertexts on shares", "[shares][run]") {
  test::SeededRng rng(102);
  for (int round = 0; round < 10; ++round) {
    const models::IntegerNetwork network = clipped_network(rng);
    const WideVector input = test::random_input(rng, network);
    const std::vector<WideVector> tensors = models::evaluate_all(network, input);
    std::size_t cut = 0;
    for (std::size_t i = 0; i < tensors[2].size(); ++i) {
      const std::int64_t limit = network.nodes[3].bias.to_int64(i / 16);
      REQUIRE(tensors[5].to_int64(i) == std::min(tensors[2].to_int64(i), limit));
      cut += tensors[2].to_int64(i) > limit ? 1 : 0;
    }
    CHECK(cut > 0);
    LocalShares shares(network, {}, rng);
    const DealtPreparation dealt = deal_preparation(network, shares.plan(), rng);
    CHECK(dealt.server.size() == 2);  // conv, dense
    OpenedCheck check(network, input);
    const LocalInference run = shares.infer(input, dealt, check.observer());
    INFO("round " << round << ": " << check.first_wrong());
    REQUIRE(check.wrong() == 0);
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(run.answer.logits[i] == tensors.back().to_int64(i));
    check_cost(run, shares.plan());
    const std::vector<unsigned> rings(network.nodes.size(), 18);
    CHECK(preparation_plan(network, rings).layers.size() == 2);
    const ShareFacts read = facts_from_json(facts_to_json(share_facts(network)));
    CHECK(read.network.nodes[3].mirrors);
    CHECK(read.network.nodes[5].mirrors);
    CHECK_FALSE(read.network.nodes[1].mirrors);
  }
}
