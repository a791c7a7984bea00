// What is said of an inference on shares beforehand, against the plan and the layers that would run it.
#include "protocols/shares/share_estimate.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "protocols/shares/layer/preparation.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/share_facts.h"

using namespace popcorn;
using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

namespace {

/// 2×6×6 → conv 3×3 to 4 channels (w = 16) → rescale by 5 with ReLU (κ = 9) → flatten → dense 3 (w = 18) →
/// output.
IntegerNetwork small_network() {
  IntegerNetwork network;
  network.name = "small";
  const auto append = [&](NodeKind kind, const char* name) -> Node& {
    Node node;
    node.kind = kind;
    node.name = name;
    if (!network.nodes.empty()) node.inputs = {network.nodes.size() - 1};
    return network.nodes.emplace_back(std::move(node));
  };
  append(NodeKind::input, "input").shape = {2, 6, 6};
  Node& conv = append(NodeKind::conv2d, "conv");
  conv.window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  conv.shape = {4, 6, 6};
  for (int i = 0; i < 4 * 18; ++i) conv.weights.push_back(i % 2 == 0 ? 3 : -4);  // Σ|w| = 63
  conv.ring_bits = 16;
  Node& rescale = append(NodeKind::rescale, "relu");
  rescale.shifts = {5};
  rescale.rectify = true;
  rescale.ring_bits = 9;
  append(NodeKind::flatten, "flatten");
  Node& dense = append(NodeKind::dense, "dense");
  dense.shape = {3, 1, 1};
  dense.weights.assign(3 * 144, 1);
  dense.ring_bits = 18;
  append(NodeKind::output, "output");
  network.finish();
  return network;
}

}  // namespace

TEST_CASE("the cost on shares is that of the plan and of the packed layers", "[protocols][estimate]") {
  using namespace protocols::shares;
  const IntegerNetwork network = small_network();
  for (const bool nearest : {true, false}) {
    const protocols::ShareEstimates cost = protocols::estimate_shares(network, {2048, nearest});
    ShareOptions options;
    options.rounding = nearest ? ShareRounding::nearest : ShareRounding::fast;
    const SharePlan plan = plan_shares(share_network(network), options);
    const ShareCost online = predict_shares(plan);
    const PackedCost packed =
        PackedNetwork(network, preparation_plan(facts_without_flights(network), plan), 2048)
            .cost(paillier::KeyKind::ordinary);
    CHECK(cost.layers[1].slot_bits == plan.ring_of_layer(1) + 6 + 1);  // Σ|w| = 63
    CHECK(cost.layers[4].slot_bits == plan.ring_of_layer(4) + 8 + 1);  // 144
    CHECK(cost.all.multiplications == packed.multiplications);
    CHECK(cost.all.ciphertexts_up == packed.ciphertexts_up);
    CHECK(cost.all.ciphertexts_down == packed.ciphertexts_down);
    CHECK(cost.all.ciphertext_bytes == packed.bytes_up + packed.bytes_down);
    CHECK(cost.all.transfers == online.all.transfers[0] + online.all.transfers[1]);
    CHECK(cost.flights == online.flights.size());
    const auto [from_server, from_client] = online.all.transfers;
    const auto source = protocols::ot::TransferSource::for_transfers(std::max(from_server, from_client));
    const auto of_transfers = static_cast<double>(source.bytes(from_server) + source.bytes(from_client));
    const auto of_steps = static_cast<double>(online.all.bytes[0] + online.all.bytes[1]);
    CHECK(static_cast<double>(cost.all.step_bytes) >= of_steps + of_transfers);
    CHECK(static_cast<double>(cost.all.step_bytes) <=
          of_steps + of_transfers + static_cast<double>(cost.layers.size()));
  }
  const protocols::ShareEstimates cost = protocols::estimate_shares(network, {2048, true});
  CHECK(cost.layers[2].kept_bits == 9);
  CHECK(protocols::estimate_shares(network, {2048, false}).all.step_bytes < cost.all.step_bytes);
  CHECK(protocols::estimate_shares(network, {2048, true, false}).all.multiplications == 0);
}

TEST_CASE("a cost on shares is refused for exact networks and for keys that hold no slot",
          "[protocols][estimate]") {
  IntegerNetwork exact = small_network();
  exact.nodes[2].kind = NodeKind::relu;
  exact.nodes[2].shifts.clear();
  exact.nodes[2].rectify = false;
  for (Node& node : exact.nodes) node.ring_bits = 0;
  exact.finish();
  CHECK_THROWS_AS(protocols::estimate_shares(exact), UsageError);
  CHECK_THROWS_AS(protocols::estimate_shares(small_network(), {64, true}), InputError);
}
