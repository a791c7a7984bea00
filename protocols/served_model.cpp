#include "protocols/served_model.h"

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

ServedModel::ServedModel(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ServedModel::~ServedModel() = default;

std::shared_ptr<const ServedModel> ServedModel::create(models::IntegerNetwork network, std::uint64_t chunk,
                                                       const std::vector<std::string>& sign_tests) {
  auto parts = std::make_unique<Parts>();
  parts->bundle = make_client_bundle(network, chunk, sign_tests);
  parts->steps = plan_steps(network, chunk);
  parts->nodes = plan_nodes(network);
  parts->network = std::move(network);
  return std::shared_ptr<const ServedModel>(new ServedModel(std::move(parts)));
}

const models::IntegerNetwork& ServedModel::network() const noexcept {
  return parts_->network;
}
const ClientBundle& ServedModel::bundle() const noexcept {
  return parts_->bundle;
}

}  // namespace popcorn::protocols
