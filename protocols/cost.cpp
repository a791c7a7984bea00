// predict_cost(): walks the network and the rounds as a session would, counting instead of computing.
#include "protocols/costs.h"
#include "protocols/memory_cost.h"
#include "protocols/round_plan.h"
#include "protocols/served_model.h"
#include "protocols/session.h"
#include "protocols/session_options.h"
#include "protocols/share.h"

namespace popcorn::protocols {

namespace {

using Layer = InferenceCost::Layer;

/// Server work of one step: difference, share, sign test, select.
std::uint64_t step_multiplications(const RoundPlan& plan, std::size_t index) {
  const Step& step = plan.steps()[index];
  const std::uint64_t n = step.count;
  std::uint64_t cost = plan.sign_test().cost(plan.sign_test_shape(index)).multiplications +
                       paillier::parse_cost(plan.selection_ciphertexts(step));
  if (plan.has_shares(step)) cost += seal_cost(n, share_layout(step.bits, plan.key_bits()), plan.key_bits());
  if (step.kind == StepKind::max_pool) cost += paillier::subtract_cost(n) + paillier::add_cost(n);
  if (step.kind == StepKind::sign) {
    return cost + paillier::add_cost(n) + paillier::add_plain_cost(n) + paillier::negate_cost(n);
  }
  return cost + paillier::scalar_multiply_cost(n, mask_bits(step.bits)) + paillier::add_cost(n) +
         paillier::subtract_cost(n);
}

void add_step(Layer& layer, const RoundPlan& plan, std::size_t index) {
  const Step& step = plan.steps()[index];
  const SignTestCost test = plan.sign_test().cost(plan.sign_test_shape(index));
  const std::uint64_t multiplications = step_multiplications(plan, index);
  layer.multiplications += multiplications;
  layer.naive_multiplications += multiplications;
  layer.ciphertexts_up += test.ciphertexts_up + plan.selection_ciphertexts(step);
  layer.ciphertexts_down += test.ciphertexts_down;
  if (plan.has_shares(step)) {
    layer.ciphertexts_down += share_layout(step.bits, plan.key_bits()).ciphertexts(step.count);
  }
}

void add_input(Layer& input, const RoundPlan& plan) {
  input.name = input.name.empty() ? "input" : input.name;
  const SignTestCost request = plan.sign_test().request_cost(plan.set_up());
  input.ciphertexts_up = plan.inputs() + request.ciphertexts_up;
  input.multiplications = input.naive_multiplications =
      paillier::parse_cost(plan.inputs()) + request.multiplications;
}

void add_output(Layer& output, const RoundPlan& plan, unsigned key_bits) {
  output.name = output.name.empty() ? "output" : output.name;
  const SlotLayout logits = logits_layout(plan.output_bits(), key_bits);
  output.ciphertexts_down = logits.ciphertexts(plan.outputs());
  output.multiplications = output.naive_multiplications = seal_cost(plan.outputs(), logits, key_bits);
}

/// Index of the layer that a message belongs to.
std::size_t layer_of(const ServedModel::Parts& model, const MessageShape& shape,
                     const MessageAddress& address) {
  if (shape.kind == MessageKind::input) return 0;
  if (shape.kind == MessageKind::logits) return model.network.nodes.size() - 1;
  return model.steps[address.step].node;
}

void add_message_bytes(InferenceCost& cost, const ServedModel::Parts& model, const RoundPlan& plan) {
  for (std::uint64_t round = 0; round < plan.rounds(); ++round) {
    const MessageShape up = plan.client_message(round);
    const MessageShape down = plan.server_message(round);
    cost.layers[layer_of(model, up, plan.client_address(round))].bytes_up += up.bytes();
    cost.layers[layer_of(model, down, plan.server_address(round))].bytes_down += down.bytes();
  }
}

void add_up(InferenceCost& cost) {
  for (const Layer& layer : cost.layers) {
    cost.multiplications += layer.multiplications;
    cost.naive_multiplications += layer.naive_multiplications;
    cost.ciphertexts_up += layer.ciphertexts_up;
    cost.ciphertexts_down += layer.ciphertexts_down;
    cost.bytes_up += layer.bytes_up;
    cost.bytes_down += layer.bytes_down;
  }
}

}  // namespace

InferenceCost predict_cost(const ServedModel& model, unsigned key_bits, const std::string& sign_test,
                           bool has_state) {
  const ServedModel::Parts& parts = model.parts();
  SessionOptions options;
  options.sign_test = sign_test;
  const RoundPlan plan(model.bundle(), accepted_sign_test(model.bundle(), options), key_bits, has_state);
  check_plaintext_space(parts.network, parts.steps, key_bits, plan.sign_test());
  InferenceCost cost;
  cost.rounds = plan.rounds();
  for (std::size_t i = 0; i < parts.network.nodes.size(); ++i) {
    const models::Node& node = parts.network.nodes[i];
    Layer& layer = cost.layers.emplace_back();
    layer.name = node.name;
    layer.kind = to_string(node.kind);
    if (parts.nodes[i].linear == nullptr) continue;
    const LinearLayer::Cost linear = parts.nodes[i].linear->cost();
    layer.multiplications = linear.multiplications;
    layer.naive_multiplications = linear.naive_multiplications;
  }
  add_input(cost.layers.front(), plan);
  for (std::size_t s = 0; s < parts.steps.size(); ++s) {
    add_step(cost.layers[parts.steps[s].node], plan, s);
  }
  add_output(cost.layers.back(), plan, key_bits);
  add_message_bytes(cost, parts, plan);
  add_up(cost);
  const SessionMemory memory = predict_memory(parts, plan);
  cost.peak_memory_client = memory.client;
  cost.peak_memory_server = memory.server;
  return cost;
}

InferenceCost predict_client_cost(const ClientBundle& bundle, unsigned key_bits, const std::string& sign_test,
                                  bool has_state) {
  SessionOptions options;
  options.sign_test = sign_test;
  const RoundPlan plan(bundle, accepted_sign_test(bundle, options), key_bits, has_state);
  InferenceCost cost;
  cost.rounds = plan.rounds();
  cost.layers.resize(plan.steps().size() + 2);
  add_input(cost.layers.front(), plan);
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    Layer& layer = cost.layers[s + 1];
    layer.name = plan.steps()[s].name;
    layer.kind = to_string(plan.steps()[s].kind);
    add_step(layer, plan, s);
  }
  add_output(cost.layers.back(), plan, key_bits);
  for (std::uint64_t round = 0; round < plan.rounds(); ++round) {
    const bool is_last = round + 1 == plan.rounds();
    cost.layers[round == 0 ? 0 : plan.place(round).step + 1].bytes_up += plan.client_message(round).bytes();
    cost.layers[is_last ? cost.layers.size() - 1 : plan.place(round + 1).step + 1].bytes_down +=
        plan.server_message(round).bytes();
  }
  add_up(cost);
  cost.peak_memory_client = predict_client_memory(plan);
  return cost;
}

}  // namespace popcorn::protocols
