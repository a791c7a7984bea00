#include "compress/cost_model.h"

#include "base/error.h"
#include "paillier/weighted_sum/weighted_sum.h"
#include "protocols/ciphertext/steps/linear_layer.h"
#include "protocols/session/cost_prediction.h"

namespace popcorn::compress {

namespace {

NetworkCost linear_nodes_only(const models::IntegerNetwork& network, const std::string& problem) {
  NetworkCost cost;
  cost.problem = problem;
  cost.nodes.resize(network.nodes.size());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (!protocols::LinearLayer::is_linear(network.nodes[i].kind)) continue;
    cost.nodes[i].multiplications = protocols::LinearLayer(network, i).cost().multiplications;
    cost.total += cost.nodes[i];
  }
  return cost;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
  multiplications += other.multiplications;
  ciphertexts_up += other.ciphertexts_up;
  ciphertexts_down += other.ciphertexts_down;
  bytes_up += other.bytes_up;
  bytes_down += other.bytes_down;
  return *this;
}

NetworkCost network_cost(const models::IntegerNetwork& network, const CostSettings& settings) {
  try {
    const auto model =
        protocols::ServedModel::create(network, protocols::kDefaultChunk, {}, {protocols::kDefaultEngine});
    const protocols::InferenceCost exact =
        protocols::predict_cost(*model, settings.key_bits, {.sign_test = settings.sign_test});
    NetworkCost cost;
    for (const auto& layer : exact.layers) {
      cost.nodes.push_back({layer.multiplications, layer.ciphertexts_up, layer.ciphertexts_down,
                            layer.bytes_up, layer.bytes_down});
      cost.total += cost.nodes.back();
    }
    return cost;
  } catch (const InputError& error) {
    return linear_nodes_only(network, error.what());
  }
}

LayerPlan layer_plan(const models::IntegerNetwork& network, std::size_t node) {
  const paillier::WeightedSumPlan plan(protocols::linear_map(network, node));
  return {plan.cost().multiplications, plan.cost().table_entries > 0};
}

}  // namespace popcorn::compress
