// Costs on shares by formula, against numbers counted by hand.
#include "protocols/shares/share_estimate.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/error.h"
#include "protocols/ot/share_steps.h"

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

TEST_CASE("the cost on shares is what the formulas say", "[protocols][estimate]") {
  const IntegerNetwork network = small_network();
  const protocols::ShareEstimates cost = protocols::estimate_shares(network, {2048, true});
  const protocols::ShareEstimateLayer &conv = cost.layers[1], &relu = cost.layers[2], &dense = cost.layers[4];
  CHECK(conv.slot_bits == 16 + 6 + 1);
  // ⌊2005 / 23⌋ = 87 slots hold the plane of 6 rows with pitch 8; two channels, three rows of the window.
  CHECK(conv.ciphertexts_up == 2 * 3);
  CHECK(conv.ciphertexts_down == 4);
  CHECK(conv.multiplications >= 6 * 2 * 23);  // the shifts alone
  CHECK(conv.ciphertext_bytes == 10 * 512);
  CHECK(relu.kept_bits == 9);
  protocols::ot::ReluShape shape{14, 5, 18, true, true, 0};
  const protocols::ot::StepCost step = protocols::ot::relu_truncate_cost(shape);
  CHECK(relu.transfers == 144 * (step.transfers.from_first + step.transfers.from_second));
  const auto transfer_bytes =
      static_cast<std::uint64_t>(std::ceil(1.9 * static_cast<double>(relu.transfers)));
  CHECK(relu.step_bytes == step.bytes(144) + transfer_bytes);
  CHECK(relu.flights == step.flights);
  CHECK(dense.slot_bits == 18 + 8 + 1);
  CHECK(dense.ciphertexts_up == 144);
  CHECK(dense.ciphertexts_down == 1);
  CHECK(dense.step_bytes == 144 * 18 / 8);
  CHECK(cost.layers[5].step_bytes == (3 * 18 + 7) / 8);
  CHECK(cost.all.ciphertexts_up == 150);
  CHECK(protocols::estimate_shares(network, {2048, false}).all.step_bytes < cost.all.step_bytes);
  CHECK(protocols::estimate_shares(network, {2048, true, false}).all.multiplications <
        cost.all.multiplications);
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
