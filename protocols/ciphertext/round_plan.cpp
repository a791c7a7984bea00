#include "protocols/ciphertext/round_plan.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/ciphertext/sign/blinded_sign_protocol.h"
#include "protocols/ciphertext/steps/step_halves.h"
#include "protocols/packing/slots.h"

namespace popcorn::protocols {

namespace {

void check_width(const std::string& what, unsigned bits, unsigned key_bits) {
  if (bits > key_bits - 2) {
    throw InputError("model.too_wide", what + " needs plaintexts of " + std::to_string(bits) + " bits, a " +
                                           std::to_string(key_bits) + "-bit key holds " +
                                           std::to_string(key_bits - 2));
  }
}

[[noreturn]] void throw_too_wide(const std::string& node, unsigned bits, unsigned key_bits) {
  throw InputError("model.too_wide", "node \"" + node + "\" needs plaintexts of " + std::to_string(bits) +
                                         " bits, a " + std::to_string(key_bits) + "-bit key holds " +
                                         std::to_string(key_bits - 2));
}

}  // namespace

RoundPlan::RoundPlan(const ClientBundle& bundle, const SignTest& sign_test, unsigned key_bits, bool has_state)
    : steps_(bundle.steps),
      sign_test_(&sign_test),
      set_up_(sign_test.set_up(has_state)),
      key_bits_(key_bits),
      inputs_(static_cast<std::uint64_t>(bundle.encoding.shape.size())),
      outputs_(bundle.output_count),
      output_bits_(bundle.output_bits) {
  for (std::uint32_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    check_width("step \"" + step.name + "\"",
                std::max(share_slot_bits(step.bits), sign_test.plaintext_bits(step.bits)), key_bits);
    const unsigned exchanges = sign_test.exchanges(step.bits);
    for (std::uint32_t e = 0; e < exchanges; ++e) places_.push_back({s, e, e + 1 == exchanges});
  }
  check_width("the output", output_bits_ + 1, key_bits);
}

bool RoundPlan::has_shares(const Step& step) const noexcept {
  return protocols::has_shares(step.kind, *sign_test_);
}

std::uint64_t RoundPlan::selection_ciphertexts(const Step& step) const noexcept {
  return protocols::selection_ciphertexts(step.kind, step.count);
}

MessageShape RoundPlan::client_message(std::uint64_t round) const {
  if (round == 0) {
    return {MessageKind::input, inputs_, inputs_, ciphertext_bytes(),
            sign_test_->request_bytes(key_bits_, set_up())};
  }
  const Place& at = place(round);
  const Step& step = steps_[at.step];
  return {MessageKind::answer, step.count, at.last ? selection_ciphertexts(step) : 0, ciphertext_bytes(),
          sign_test_->answer_bytes(sign_test_shape(at.step), at.exchange)};
}

MessageShape RoundPlan::server_message(std::uint64_t round) const {
  if (round + 1 == rounds()) {
    return {MessageKind::logits, outputs_, logits_layout(output_bits_, key_bits_).ciphertexts(outputs_),
            ciphertext_bytes(), 0};
  }
  const Place& at = place(round + 1);
  const Step& step = steps_[at.step];
  const std::uint64_t shares =
      at.exchange == 0 && has_shares(step) ? share_layout(step.bits, key_bits_).ciphertexts(step.count) : 0;
  return {MessageKind::question, step.count, shares, ciphertext_bytes(),
          sign_test_->question_bytes(sign_test_shape(at.step), at.exchange)};
}

MessageAddress RoundPlan::client_address(std::uint64_t round) const {
  if (round == 0) return {};
  return {{}, place(round).step, place(round).exchange};
}

MessageAddress RoundPlan::server_address(std::uint64_t round) const {
  if (round + 1 == rounds()) return {{}, static_cast<std::uint32_t>(steps_.size()), 0};
  return client_address(round + 1);
}

std::string RoundPlan::step_name(std::uint64_t step) const {
  return step < steps_.size() ? steps_[static_cast<std::size_t>(step)].name : "";
}

std::uint64_t RoundPlan::rerandomisations() const {
  std::uint64_t count = Schedule::rerandomisations();
  for (std::size_t step = 0; step < steps_.size(); ++step) {
    count += sign_test_->cost(sign_test_shape(step)).ciphertexts_down;
  }
  return count;
}

void check_plaintext_space(const models::IntegerNetwork& network, const std::vector<Step>& steps,
                           unsigned key_bits, const SignTest& sign_test) {
  const unsigned available = key_bits - 2;
  for (const models::Node& node : network.nodes) {
    if (node.bounds.bits + 1 > available) throw_too_wide(node.name, node.bounds.bits + 1, key_bits);
  }
  for (const Step& step : steps) {
    const unsigned needed = std::max(share_slot_bits(step.bits), sign_test.plaintext_bits(step.bits));
    if (needed > available) throw_too_wide(network.nodes[step.node].name, needed, key_bits);
  }
}

std::vector<Step> step_list(const models::IntegerNetwork& network, unsigned key_bits) {
  std::vector<Step> steps = plan_steps(network);
  check_plaintext_space(network, steps, key_bits, blinded_sign_test());
  return steps;
}

}  // namespace popcorn::protocols
