#include "protocols/ciphertext/ciphertext_cost.h"

#include <span>
#include <vector>

#include "protocols/ciphertext/memory_cost.h"
#include "protocols/ciphertext/network_walk.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/seal_cost.h"

namespace popcorn::protocols {

namespace {

using Layer = InferenceCost::Layer;

/// Server work on the questions of one step: share and sign test.
std::uint64_t question_multiplications(const RoundPlan& plan, std::size_t index) {
  const Step& step = plan.steps()[index];
  const unsigned bits = plan.key_bits();
  const std::uint64_t test = plan.sign_test().cost(plan.sign_test_shape(index)).multiplications;
  return plan.has_shares(step) ? test + seal_cost(step.count, share_layout(step.bits, bits), bits) : test;
}

/// On its selection.
std::uint64_t selection_multiplications(const RoundPlan& plan, std::size_t index) {
  const Step& step = plan.steps()[index];
  const std::uint64_t n = step.count;
  const std::uint64_t cost = paillier::parse_cost(plan.selection_ciphertexts(step)) + paillier::add_cost(n);
  if (step.kind == StepKind::sign) return cost + paillier::add_plain_cost(n) + paillier::negate_cost(n);
  return cost + paillier::scalar_multiply_cost(n, mask_bits(step.bits)) + paillier::subtract_cost(n);
}

void add(Layer& layer, std::uint64_t multiplications) {
  layer.multiplications += multiplications;
  layer.naive_multiplications += multiplications;
}

/// What the messages of a step carry.
void add_ciphertexts(Layer& layer, const RoundPlan& plan, std::size_t index) {
  const Step& step = plan.steps()[index];
  const SignTestCost test = plan.sign_test().cost(plan.sign_test_shape(index));
  layer.ciphertexts_up += test.ciphertexts_up + plan.selection_ciphertexts(step);
  layer.ciphertexts_down += test.ciphertexts_down;
  if (plan.has_shares(step)) {
    layer.ciphertexts_down += share_layout(step.bits, plan.key_bits()).ciphertexts(step.count);
  }
}

/// The back-end of the walk that counts multiplications, in the layers of a cost.
class ServerCount {
 public:
  struct Tensor {};

  ServerCount(const CiphertextNetwork& model, const RoundPlan& plan, std::vector<Layer>& layers)
      : model_(model), plan_(plan), layers_(layers), walk_(model, *this) {}

  /// A whole inference, but for its input and its output.
  void run() {
    walk_.set_input({});
    while (walk_.advance()) {
      add(layer_of(walk_.step()), question_multiplications(plan_, walk_.state().step));
      walk_.close_step();
    }
  }

  Tensor evaluate(std::size_t node, std::span<const Tensor* const> /*operands*/) {
    const LinearLayer::Cost cost = model_.nodes[node].linear->cost();
    layers_[node].multiplications += cost.multiplications;
    layers_[node].naive_multiplications += cost.naive_multiplications;
    return {};
  }
  Tensor choose(Tensor /*values*/, std::span<const std::uint32_t> /*places*/) { return {}; }
  Tensor differences(const Tournament::Level& /*level*/, const Step& step, Tensor /*values*/) {
    add(layer_of(step), paillier::subtract_cost(step.count));
    return {};
  }
  Tensor part(const Step& /*step*/, Tensor /*values*/) { return {}; }
  Tensor winners(const Tournament::Level& /*level*/, const Step& step, Tensor /*result*/, Tensor /*values*/) {
    add(layer_of(step), paillier::add_cost(step.count));
    return {};
  }
  Tensor join(const std::vector<Tensor>& /*parts*/) { return {}; }
  Tensor next_level(const std::vector<Tensor>& /*parts*/, const Tournament::Level& /*level*/,
                    Tensor /*values*/) {
    return {};
  }
  void open(std::size_t step, Tensor /*x*/) { add_ciphertexts(layer_of(model_.steps[step]), plan_, step); }
  Tensor close(std::size_t step) {
    add(layer_of(model_.steps[step]), selection_multiplications(plan_, step));
    return {};
  }
  void stored(std::size_t /*node*/, Tensor /*tensor*/) {}

 private:
  Layer& layer_of(const Step& step) { return layers_[step.node]; }

  const CiphertextNetwork& model_;
  const RoundPlan& plan_;
  std::vector<Layer>& layers_;
  NetworkWalk<ServerCount, Tensor> walk_;
};

void add_input(Layer& input, const RoundPlan& plan) {
  input.name = input.name.empty() ? "input" : input.name;
  const SignTestCost request = plan.sign_test().request_cost(plan.set_up());
  input.ciphertexts_up = plan.inputs() + request.ciphertexts_up;
  input.multiplications = input.naive_multiplications =
      paillier::parse_cost(plan.inputs()) + request.multiplications;
}

void add_output(Layer& output, const RoundPlan& plan) {
  output.name = output.name.empty() ? "output" : output.name;
  const SlotLayout logits = logits_layout(plan.output_bits(), plan.key_bits());
  output.ciphertexts_down = logits.ciphertexts(plan.outputs());
  output.multiplications = output.naive_multiplications = seal_cost(plan.outputs(), logits, plan.key_bits());
}

/// Index of the layer that a message belongs to.
std::size_t layer_of(const CiphertextNetwork& model, const MessageShape& shape,
                     const MessageAddress& address) {
  if (shape.kind == MessageKind::input) return 0;
  if (shape.kind == MessageKind::logits) return model.network.nodes.size() - 1;
  return model.steps[address.step].node;
}

void add_message_bytes(InferenceCost& cost, const CiphertextNetwork& model, const RoundPlan& plan) {
  for (std::uint64_t round = 0; round < plan.rounds(); ++round) {
    const MessageShape up = plan.client_message(round);
    const MessageShape down = plan.server_message(round);
    cost.layers[layer_of(model, up, plan.client_address(round))].bytes_up += up.bytes();
    cost.layers[layer_of(model, down, plan.server_address(round))].bytes_down += down.bytes();
  }
}

}  // namespace

InferenceCost ciphertext_cost(const CiphertextNetwork& parts, const RoundPlan& plan) {
  check_plaintext_space(parts.network, parts.steps, plan.key_bits(), plan.sign_test());
  InferenceCost cost;
  cost.rounds = plan.rounds();
  for (const models::Node& node : parts.network.nodes) {
    Layer& layer = cost.layers.emplace_back();
    layer.name = node.name;
    layer.kind = to_string(node.kind);
  }
  add_input(cost.layers.front(), plan);
  ServerCount(parts, plan, cost.layers).run();
  add_output(cost.layers.back(), plan);
  add_message_bytes(cost, parts, plan);
  cost.add_up();
  const SessionMemory memory = predict_memory(parts, plan);
  cost.peak_memory_client = memory.client;
  cost.peak_memory_server = memory.server;
  return cost;
}

InferenceCost ciphertext_client_cost(const RoundPlan& plan) {
  InferenceCost cost;
  cost.rounds = plan.rounds();
  cost.layers.resize(plan.steps().size() + 2);
  add_input(cost.layers.front(), plan);
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    Layer& layer = cost.layers[s + 1];
    layer.name = plan.steps()[s].name;
    layer.kind = to_string(plan.steps()[s].kind);
    const std::uint64_t n = plan.steps()[s].count;
    const bool compares = plan.steps()[s].kind == StepKind::max_pool;
    add(layer, question_multiplications(plan, s) + selection_multiplications(plan, s));
    if (compares) add(layer, paillier::subtract_cost(n) + paillier::add_cost(n));
    add_ciphertexts(layer, plan, s);
  }
  add_output(cost.layers.back(), plan);
  for (std::uint64_t round = 0; round < plan.rounds(); ++round) {
    const bool is_last = round + 1 == plan.rounds();
    cost.layers[round == 0 ? 0 : plan.place(round).step + 1].bytes_up += plan.client_message(round).bytes();
    cost.layers[is_last ? cost.layers.size() - 1 : plan.place(round + 1).step + 1].bytes_down +=
        plan.server_message(round).bytes();
  }
  cost.add_up();
  cost.peak_memory_client = predict_client_memory(plan);
  return cost;
}

}  // namespace popcorn::protocols
