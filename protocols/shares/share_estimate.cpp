#include "protocols/shares/share_estimate.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "protocols/ot/sources/random_transfer.h"
#include "protocols/shares/layer/preparation.h"
#include "protocols/shares/run/share_cost.h"

namespace popcorn::protocols {

namespace {

using models::IntegerNetwork;
using models::Node;

/// What makes a session's transfers, both directions.
double transfer_bytes(const std::array<std::uint64_t, 2>& transfers) {
  const auto source = ot::TransferSource::for_transfers(std::max(transfers[0], transfers[1]));
  return static_cast<double>(source.bytes(transfers[0]) + source.bytes(transfers[1]));
}

/// A layer for each node, with what the plan says of its ring.
std::vector<ShareEstimateLayer> layers_of(const IntegerNetwork& network, const shares::SharePlan& plan) {
  std::vector<ShareEstimateLayer> layers(plan.network.nodes.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Node& node = network.nodes[i];
    layers[i].name = node.name;
    layers[i].kind = models::to_string(node.kind);
    layers[i].ring_bits = plan.held[i] != 0 ? plan.held[i] : plan.network.nodes[i].ring;
    if (node.kind == models::NodeKind::rescale) layers[i].kept_bits = plan.network.nodes[i].ring;
  }
  return layers;
}

/// Whose cost a step is: a re-share is that of the layer it is made for.
std::size_t node_of(const shares::SharePlan& plan, const shares::ShareStep& step) {
  if (step.kind != shares::ShareStep::Kind::re_share) return step.node;
  for (std::size_t i = step.node + 1; i < plan.network.nodes.size(); ++i) {
    const shares::ShareNode& reader = plan.network.nodes[i];
    if (reader.weighted() && reader.inputs.front() == step.node) return i;
  }
  return step.node;
}

void add_steps(const shares::SharePlan& plan, ShareEstimates& result) {
  const shares::ShareCost cost = shares::predict_shares(plan);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    ShareEstimateLayer& layer = result.layers[node_of(plan, plan.steps[i])];
    const shares::ShareStepCost& step = cost.steps[i];
    layer.step_bytes += step.bytes[0] + step.bytes[1];
    layer.transfers += step.transfers[0] + step.transfers[1];
    layer.flights += static_cast<unsigned>(step.flights);
  }
  result.flights = static_cast<unsigned>(cost.flights.size());
  const std::uint64_t transfers = cost.all.transfers[0] + cost.all.transfers[1];
  if (transfers == 0) return;
  const double rate = transfer_bytes(cost.all.transfers) / static_cast<double>(transfers);
  for (ShareEstimateLayer& layer : result.layers)
    layer.step_bytes += static_cast<std::uint64_t>(std::ceil(rate * static_cast<double>(layer.transfers)));
}

void add_weighted(const IntegerNetwork& network, const shares::SharePlan& plan,
                  const ShareEstimateOptions& options, ShareEstimates& result) {
  for (const shares::PreparationPlan::Layer& weighted : shares::preparation_plan(network, plan.held).layers) {
    const shares::PackedLayout layout = shares::cheapest_layout(weighted.facts, options.key_bits);
    ShareEstimateLayer& layer = result.layers[weighted.node];
    layer.slot_bits = weighted.facts.slot_bits;
    layer.ciphertexts_up = layout.inputs();
    layer.ciphertexts_down = layout.outputs();
    layer.ciphertext_bytes = (layout.inputs() + layout.outputs()) * (options.key_bits / 4);
    if (!options.multiplications) continue;
    layer.multiplications = shares::PackedLayer(network.nodes[weighted.node], layout)
                                .cost(paillier::KeyKind::ordinary)
                                .multiplications;
  }
}

}  // namespace

ShareEstimate& ShareEstimate::operator+=(const ShareEstimate& other) {
  multiplications += other.multiplications;
  ciphertexts_up += other.ciphertexts_up;
  ciphertexts_down += other.ciphertexts_down;
  transfers += other.transfers;
  ciphertext_bytes += other.ciphertext_bytes;
  step_bytes += other.step_bytes;
  return *this;
}

ShareEstimates estimate_shares(const IntegerNetwork& network, const ShareEstimateOptions& options) {
  if (!network.is_requantised()) {
    throw UsageError("shares.network",
                     "the network " + network.name + " is exact; shares need a requantised one");
  }
  shares::ShareOptions share_options;
  share_options.rounding = options.nearest ? shares::ShareRounding::nearest : shares::ShareRounding::fast;
  const shares::SharePlan plan = shares::plan_shares(shares::share_network(network), share_options);
  ShareEstimates result;
  result.layers = layers_of(network, plan);
  add_steps(plan, result);
  add_weighted(network, plan, options, result);
  for (const ShareEstimateLayer& layer : result.layers) result.all += layer;
  return result;
}

}  // namespace popcorn::protocols
