#include "protocols/ciphertext/memory_cost.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/wide_vector.h"
#include "paillier/operation_costs.h"
#include "protocols/ciphertext/network_walk.h"
#include "protocols/ciphertext/steps/share.h"
#include "protocols/packing/slots.h"

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

/// The back-end of the walk that adds up bytes: a tensor is its size.
class ServerMemory {
 public:
  using Tensor = std::uint64_t;

  ServerMemory(const CiphertextNetwork& model, const RoundPlan& plan)
      : model_(model), plan_(plan), bits_(plan.key_bits()), walk_(model, *this) {}

  std::uint64_t peak() {
    if (!plan_.steps().empty()) {  // what the set-up holds before there are neurons
      SignTestShape shape = plan_.sign_test_shape(0);
      shape.count = 0;
      sign_test_ = plan_.sign_test().memory(shape).server;
    }
    for (std::uint64_t round = 0; round < plan_.rounds(); ++round) answer(round);
    return peak_ + paillier::task_bytes(bits_) + kSessionBytes;
  }

  Tensor evaluate(std::size_t node, std::span<const Tensor* const> /*operands*/) {
    note(model_.nodes[node].linear->working_bytes(bits_));
    return batch(static_cast<std::uint64_t>(model_.network.nodes[node].shape.size()));
  }
  Tensor choose(Tensor /*values*/, std::span<const std::uint32_t> places) {
    return noted(batch(places.size()));
  }
  Tensor differences(const Tournament::Level& /*level*/, const Step& step, Tensor /*values*/) {
    note(4 * batch(step.count));
    return batch(step.count);
  }
  Tensor part(const Step& step, Tensor /*values*/) {
    note(2 * batch(step.count));
    return batch(step.count);
  }
  Tensor winners(const Tournament::Level& /*level*/, const Step& /*step*/, Tensor result, Tensor /*values*/) {
    return result;  // close() has noted it
  }
  Tensor join(const std::vector<Tensor>& parts) {
    const std::uint64_t joined = std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
    note(joined + joined);
    return joined;
  }
  Tensor next_level(const std::vector<Tensor>& parts, const Tournament::Level& level, Tensor /*values*/) {
    const std::uint64_t joined = std::accumulate(parts.begin(), parts.end(), std::uint64_t{0});
    const std::uint64_t values = batch(level.left.size() + level.kept.size());
    note(joined + joined + batch(level.kept.size()) + values);
    return values;
  }
  void open(std::size_t number, Tensor x) {
    const Step& step = model_.steps[number];
    open_ = x;
    if (plan_.has_shares(step)) open_ += integers(step.count, mask_bits(step.bits));
    if (plan_.sign_test().permutes()) open_ += step.count * kPlaceBytes;
    sign_test_ = plan_.sign_test().memory(plan_.sign_test_shape(number)).server;
  }
  Tensor close(std::size_t number) {
    const std::uint64_t x = batch(model_.steps[number].count);
    note(5 * x);
    open_ = sign_test_ = 0;
    return x;
  }
  void stored(std::size_t /*node*/, Tensor /*tensor*/) { note(0); }

 private:
  void answer(std::uint64_t round) {
    messages_ = plan_.client_message(round).bytes();
    const std::uint64_t received = plan_.client_message(round).ciphertexts;
    note(parsed_bytes(received, bits_));
    messages_ += plan_.server_message(round).bytes();
    const bool closes = round > 0 && plan_.place(round).last;
    if (round == 0) {
      walk_.set_input(batch(received));
    } else if (closes) {
      selection_ = batch(received);
      walk_.close_step();
      selection_ = 0;
    }
    if ((round > 0 && !closes) || walk_.advance()) {
      question(walk_.step());
    } else {
      note(sealing_bytes(plan_.outputs(), logits_layout(plan_.output_bits(), bits_), bits_));
    }
  }

  void question(const Step& step) {
    if (plan_.has_shares(step)) {
      note(sealing_bytes(step.count, share_layout(step.bits, bits_), bits_) +
           integers(step.count, mask_bits(step.bits)));
    }
    note(0);
  }

  std::uint64_t batch(std::uint64_t count) const { return paillier::batch_bytes(count, bits_); }

  /// Something that is needed at this moment beside what is held.
  void note(std::uint64_t working) {
    std::uint64_t held = open_ + sign_test_ + messages_ + selection_;
    walk_.for_each_held([&](Tensor bytes) { held += bytes; });
    peak_ = std::max(peak_, held + working);
  }
  Tensor noted(std::uint64_t bytes) {
    note(bytes);
    return bytes;
  }

  const CiphertextNetwork& model_;
  const RoundPlan& plan_;
  unsigned bits_;
  NetworkWalk<ServerMemory, Tensor> walk_;
  std::uint64_t open_ = 0, sign_test_ = 0, messages_ = 0, selection_ = 0;
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

SessionMemory predict_memory(const CiphertextNetwork& model, const RoundPlan& plan) {
  return {ServerMemory(model, plan).peak(), predict_client_memory(plan)};
}

}  // namespace popcorn::protocols
