#include "protocols/ciphertext/ciphertext_network.h"

namespace popcorn::protocols {

namespace {

std::vector<NodePlan> plan_nodes(const models::IntegerNetwork& network) {
  std::vector<NodePlan> plans(network.nodes.size());
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    const models::Node& node = network.nodes[i];
    plans[i].last_reader = i;
    for (const std::size_t operand : node.inputs) plans[operand].last_reader = i;
    if (LinearLayer::is_linear(node.kind)) plans[i].linear = std::make_unique<LinearLayer>(network, i);
    if (node.kind == models::NodeKind::max_pool2d) {
      plans[i].tournament =
          std::make_unique<Tournament>(plan_tournament(node, network.nodes[node.inputs.front()].shape));
    }
  }
  return plans;
}

}  // namespace

CiphertextNetwork::CiphertextNetwork(const models::IntegerNetwork& planned, std::uint64_t chunk)
    : network(planned), steps(plan_steps(planned, chunk)), nodes(plan_nodes(planned)) {}

}  // namespace popcorn::protocols
