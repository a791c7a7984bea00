#include "protocols/memory_cost.h"

#include <algorithm>
#include <vector>

#include "base/wide_vector.h"
#include "paillier/operation_costs.h"
#include "protocols/share.h"
#include "protocols/slots.h"

namespace popcorn::protocols {

namespace {

constexpr std::uint64_t kWordBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kPlaceBytes = sizeof(std::uint32_t);
/// Objects of a fixed size, lists of nodes and steps.
constexpr std::uint64_t kSessionBytes = 32 * 1024;

std::uint64_t integers(std::uint64_t count, unsigned bits) {
  return count * WideVector::limbs_for_bits(bits) * kWordBytes;
}

/// Works on the ciphertexts of one message besides the message itself: parsed, with the products for the gcd.
std::uint64_t parsed_bytes(std::uint64_t ciphertexts, unsigned key_bits) {
  const std::uint64_t batch = paillier::batch_bytes(ciphertexts, key_bits);
  return batch + batch / 4;
}

/// Plaintext slots and ciphertexts while seal_slots() works on `count` values.
std::uint64_t sealing_bytes(std::uint64_t count, const SlotLayout& layout, unsigned key_bits) {
  const std::uint64_t packed = layout.ciphertexts(count);
  return 2 * paillier::batch_bytes(packed, key_bits) + integers(packed, key_bits) +
         integers(count, layout.slot_bits);
}

class ServerWalk {
 public:
  ServerWalk(const ServedModel::Parts& model, const RoundPlan& plan)
      : model_(model), plan_(plan), bits_(plan.key_bits()), tensors_(model.network.nodes.size()) {}

  std::uint64_t peak() {
    if (!plan_.steps().empty()) {  // what the set-up holds before there are neurons
      SignTestShape shape = plan_.sign_test_shape(0);
      shape.count = 0;
      sign_test_ = plan_.sign_test().memory(shape).server;
    }
    for (round_ = 0; round_ < plan_.rounds(); ++round_) {
      messages_ = plan_.client_message(round_).bytes();
      const std::uint64_t received = plan_.client_message(round_).ciphertexts;
      note(parsed_bytes(received, bits_));
      messages_ += plan_.server_message(round_).bytes();
      if (round_ == 0) {
        store(0, batch(received));
      } else if (plan_.place(round_).last) {
        close_step(received);
      }
      const bool step_goes_on = round_ > 0 && !plan_.place(round_).last;
      if (step_goes_on || advance()) {
        question();
      } else {
        const std::uint64_t outputs = plan_.outputs();
        note(sealing_bytes(outputs, logits_layout(plan_.output_bits(), bits_), bits_));
      }
    }
    return peak_ + paillier::task_bytes(bits_) + kSessionBytes;
  }

 private:
  std::uint64_t batch(std::uint64_t count) const { return paillier::batch_bytes(count, bits_); }
  const Step& step() const { return model_.steps[step_]; }
  const Tournament::Level& level() const {
    return model_.nodes[step().node].tournament->levels[step().level];
  }

  /// Something that is needed at this moment beside what is held.
  void note(std::uint64_t working) {
    std::uint64_t held = values_ + parts_ + open_ + sign_test_ + messages_;
    for (const std::uint64_t tensor : tensors_) held += tensor;
    peak_ = std::max(peak_, held + working);
  }

  bool advance() {
    while (node_ < tensors_.size()) {
      if (step_ < model_.steps.size() && step().node == node_) {
        open_step();
        return true;
      }
      evaluate();
    }
    return false;
  }

  void evaluate() {
    const models::Node& node = model_.network.nodes[node_];
    const NodePlan& plan = model_.nodes[node_];
    const std::uint64_t result = batch(static_cast<std::uint64_t>(node.shape.size()));
    if (plan.linear == nullptr && plan.tournament == nullptr) {  // shares the tensor of its operand
      const std::size_t operand = node.inputs.front();
      const std::uint64_t shared = tensors_[operand];
      const bool stays = model_.nodes[operand].last_reader != node_;
      store(node_, stays ? 0 : shared);
      return;
    }
    note(plan.linear == nullptr ? result : plan.linear->working_bytes(bits_));
    store(node_, result);
  }

  void store(std::size_t index, std::uint64_t bytes) {
    tensors_[index] = bytes;
    note(0);
    for (const std::size_t operand : model_.network.nodes[index].inputs) {
      if (model_.nodes[operand].last_reader == index) tensors_[operand] = 0;
    }
    node_ = index + 1;
  }

  void open_step() {
    const std::uint64_t x = batch(step().count);
    note(step().kind == StepKind::max_pool ? 4 * x : 2 * x);
    open_ = x;
    if (plan_.has_shares(step())) open_ += integers(step().count, mask_bits(step().bits));
    if (plan_.sign_test().permutes()) open_ += step().count * kPlaceBytes;
    sign_test_ = plan_.sign_test().memory(plan_.sign_test_shape(step_)).server;
  }

  void question() {
    if (plan_.has_shares(step())) {
      const SlotLayout layout = share_layout(step().bits, bits_);
      note(sealing_bytes(step().count, layout, bits_) + integers(step().count, mask_bits(step().bits)));
    }
    note(0);
  }

  void close_step(std::uint64_t received) {
    const std::uint64_t x = batch(step().count);
    note(batch(received) + 5 * x);
    open_ = sign_test_ = 0;
    parts_ += x;
    const bool more = step_ + 1 < model_.steps.size() && model_.steps[step_ + 1].node == step().node &&
                      model_.steps[step_ + 1].level == step().level;
    if (!more) finish_level(batch(received));
    ++step_;
  }

  void finish_level(std::uint64_t selection) {
    const std::uint64_t joined = parts_;
    const std::size_t node = step().node;
    if (step().kind != StepKind::max_pool) {
      note(selection + joined);
      parts_ = 0;
      store(node, joined);
      return;
    }
    const std::uint64_t values = batch(level().left.size() + level().kept.size());
    note(selection + joined + batch(level().kept.size()) + values);
    parts_ = 0;
    values_ = values;
    const Tournament& tournament = *model_.nodes[node].tournament;
    if (step().level + 1 < tournament.levels.size()) return;
    const std::uint64_t result = batch(tournament.result.size());
    note(selection + result);
    values_ = 0;
    store(node, result);
  }

  const ServedModel::Parts& model_;
  const RoundPlan& plan_;
  unsigned bits_;
  std::vector<std::uint64_t> tensors_;
  std::uint64_t values_ = 0, parts_ = 0, open_ = 0, sign_test_ = 0, messages_ = 0;
  std::uint64_t round_ = 0;
  std::size_t node_ = 0, step_ = 0;
  std::uint64_t peak_ = 0;
};

}  // namespace

std::uint64_t predict_client_memory(const RoundPlan& plan) {
  const unsigned bits = plan.key_bits();
  const std::uint64_t input = plan.inputs() * kWordBytes;
  std::uint64_t peak = plan.client_message(0).bytes();
  for (std::uint64_t round = 0; round < plan.rounds(); ++round) {
    // The message given last is kept for repetition while its answer is read and the next one is made.
    std::uint64_t bytes = plan.client_message(round).bytes() + plan.server_message(round).bytes();
    if (round + 1 == plan.rounds()) {
      const SlotLayout layout = logits_layout(plan.output_bits(), bits);
      bytes +=
          integers(layout.ciphertexts(plan.outputs()), bits) + 2 * integers(plan.outputs(), layout.slot_bits);
    } else {
      const std::size_t number = plan.place(round + 1).step;
      const Step& step = plan.steps()[number];
      bytes += plan.client_message(round + 1).bytes() +
               plan.sign_test().memory(plan.sign_test_shape(number)).client;
      bytes += step.count * kWordBytes;  // β
      if (plan.has_shares(step)) {       // packed and opened shares; β·c
        const SlotLayout layout = share_layout(step.bits, bits);
        bytes += integers(layout.ciphertexts(step.count), bits) + 2 * integers(step.count, layout.slot_bits);
      }
    }
    peak = std::max(peak, bytes);
  }
  return input + peak + paillier::task_bytes(bits) + kSessionBytes;
}

SessionMemory predict_memory(const ServedModel::Parts& model, const RoundPlan& plan) {
  return {ServerWalk(model, plan).peak(), predict_client_memory(plan)};
}

}  // namespace popcorn::protocols
