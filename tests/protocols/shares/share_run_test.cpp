// The online phase against the plaintext evaluator: random networks of every kind, shipped ones on pictures.
#include "protocols/shares/run/share_run.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/value_range.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run_local.h"
#include "tests/support/random_network.h"

using namespace popcorn;
using namespace popcorn::protocols::shares;

namespace {

/// Widens rings until no value of this input is beyond what its node and the steps behind it take.
bool fit_rings(models::IntegerNetwork& network, const WideVector& input) {
  for (int attempt = 0; attempt < 60; ++attempt) {
    models::RangeCounts counts(network);
    models::evaluate_all(network, input, {models::Rounding(), 0, &counts});
    if (counts.beyond() == 0) return true;
    for (std::size_t i = 1; i < network.nodes.size(); ++i) {
      if (counts.beyond(i) == 0) continue;
      // The ring that is too narrow is the node's own, or that of what it reads.
      std::size_t at = i;
      if (network.nodes[i].kind == models::NodeKind::rescale ||
          network.nodes[i].kind == models::NodeKind::max_pool2d) {
        if (network.nodes[i].ring_bits != 0) ++network.nodes[i].ring_bits;
        at = network.nodes[i].inputs.front();
        while (network.nodes[at].ring_bits == 0 && !network.nodes[at].inputs.empty())
          at = network.nodes[at].inputs.front();
      }
      if (network.nodes[at].ring_bits == 0) return false;
      if (++network.nodes[at].ring_bits > 24) return false;
    }
    network.finish();
  }
  return false;
}

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
    if (!fit_rings(network, input)) continue;
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
