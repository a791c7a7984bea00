#include "protocols/plan/steps.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/packing/wide_math.h"
#include "protocols/plan/tournament.h"

namespace popcorn::protocols {

namespace {

/// Cuts one level of one node into steps of at most `chunk` comparisons.
void append_level(std::vector<Step>& steps, Step step, std::uint64_t count, std::uint64_t chunk) {
  const std::string name = step.name;
  for (std::uint64_t first = 0, part = 1; first < count; first += chunk, ++part) {
    step.first = first;
    step.count = std::min(chunk, count - first);
    step.name = count <= chunk ? name : name + "#" + std::to_string(part);
    steps.push_back(step);
  }
}

void append_max_pool(std::vector<Step>& steps, const models::IntegerNetwork& network, std::size_t index,
                     std::uint64_t chunk) {
  const models::Node& node = network.nodes[index];
  const models::Node& operand = network.nodes[node.inputs.front()];
  const Tournament tournament = plan_tournament(node, operand.shape);
  Step step{.kind = StepKind::max_pool, .name = {}, .node = index};
  step.bits = std::max(1U, difference_bits(operand.bounds.low, operand.bounds.high));
  for (const Tournament::Level& level : tournament.levels) {
    step.name = node.name + "/" + std::to_string(step.level + 1);
    append_level(steps, step, level.left.size(), chunk);
    ++step.level;
  }
}

void append_activation(std::vector<Step>& steps, const models::IntegerNetwork& network, std::size_t index,
                       StepKind kind, std::uint64_t chunk) {
  const models::Node& node = network.nodes[index];
  Step step{.kind = kind, .name = node.name, .node = index};
  step.bits = std::max(1U, network.nodes[node.inputs.front()].bounds.bits);
  append_level(steps, step, static_cast<std::uint64_t>(node.shape.size()), chunk);
}

}  // namespace

std::string_view to_string(StepKind kind) {
  switch (kind) {
    case StepKind::relu:
      return "relu";
    case StepKind::max_pool:
      return "max_pool";
    case StepKind::sign:
      return "sign";
  }
  return "unknown";
}

std::vector<Step> plan_steps(const models::IntegerNetwork& network, std::uint64_t chunk) {
  chunk = std::clamp<std::uint64_t>(chunk, 1, Limits::kStepCount);
  // Values beyond a ring wrap, and rescales round: neither has a protocol on ciphertexts.
  if (network.is_requantised()) {
    throw InputError("model.requantised", "the network '" + network.name +
                                              "' is requantised: it rounds and needs an engine on shares");
  }
  std::vector<Step> steps;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    switch (network.nodes[i].kind) {
      case models::NodeKind::relu:
        append_activation(steps, network, i, StepKind::relu, chunk);
        break;
      case models::NodeKind::sign:
        append_activation(steps, network, i, StepKind::sign, chunk);
        break;
      case models::NodeKind::max_pool2d:
        append_max_pool(steps, network, i, chunk);
        break;
      default:
        break;
    }
  }
  if (steps.size() > Limits::kSteps) {
    throw InputError("model.too_large", "the network needs " + std::to_string(steps.size()) +
                                            " steps, an inference may have " +
                                            std::to_string(Limits::kSteps));
  }
  return steps;
}

}  // namespace popcorn::protocols
