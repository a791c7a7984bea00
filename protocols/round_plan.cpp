#include "protocols/round_plan.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "protocols/slots.h"

namespace popcorn::protocols {

namespace {

void check_width(const std::string& what, unsigned bits, unsigned key_bits) {
  if (bits > key_bits - 2) {
    throw InputError("model.too_wide", what + " needs plaintexts of " + std::to_string(bits) + " bits, a " +
                                           std::to_string(key_bits) + "-bit key holds " +
                                           std::to_string(key_bits - 2));
  }
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
  return step.kind != StepKind::sign || sign_test_->needs_shares();
}

std::uint64_t RoundPlan::selection_ciphertexts(const Step& step) const noexcept {
  return step.kind == StepKind::sign ? step.count : 2 * step.count;
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
  return step < steps_.size() ? steps_[static_cast<std::size_t>(step)].name : "output";
}

std::string RoundPlan::describe(MessageKind kind, const MessageAddress& address) const {
  if (kind == MessageKind::input || kind == MessageKind::logits) return "the " + std::string(to_string(kind));
  std::string text = "the " + std::string(to_string(kind)) + " of step " + std::to_string(address.step);
  if (address.step < steps_.size()) text += " (" + step_name(address.step) + ")";
  if (address.exchange != 0) text += ", exchange " + std::to_string(address.exchange);
  return text;
}

void RoundPlan::check(const MessageShape& shape, const MessageAddress& address, const Sha256& key,
                      const MessagePrefix& got) const {
  if (got.address.key != key) {
    throw InputError("message.foreign_key", "the message belongs to key " + to_hex(got.address.key) +
                                                ", this session to key " + to_hex(key));
  }
  const auto place_of = [](MessageKind kind, const MessageAddress& at) {
    return std::tuple(kind != MessageKind::input, at.step, at.exchange);
  };
  const auto due = place_of(shape.kind, address);
  const auto arrived = place_of(got.shape.kind, got.address);
  if (got.shape.kind != shape.kind || arrived != due) {
    throw InputError(
        arrived < due ? "round.repeated" : "round.out_of_order",
        "expected " + describe(shape.kind, address) + ", got " + describe(got.shape.kind, got.address));
  }
  if (got.shape != shape) {
    throw InputError(
        "message.size",
        describe(shape.kind, address) + " must have " + std::to_string(shape.elements) + " elements in " +
            std::to_string(shape.ciphertexts) + " ciphertexts of " + std::to_string(shape.ciphertext_bytes) +
            " bytes and " + std::to_string(shape.sign_test_bytes) + " bytes of sign test; it declares " +
            std::to_string(got.shape.elements) + " in " + std::to_string(got.shape.ciphertexts) + " of " +
            std::to_string(got.shape.ciphertext_bytes) + " and " + std::to_string(got.shape.sign_test_bytes));
  }
}

Message RoundPlan::expect_client(std::uint64_t round, const Sha256& key, ByteView message) const {
  const Message got = parse_message(message);
  check_client(round, key, {got.shape, got.address});
  return got;
}

Message RoundPlan::expect_server(std::uint64_t round, const Sha256& key, ByteView message) const {
  const Message got = parse_message(message);
  check_server(round, key, {got.shape, got.address});
  return got;
}

void RoundPlan::check_client(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const {
  check(client_message(round), client_address(round), key, got);
}

void RoundPlan::check_server(std::uint64_t round, const Sha256& key, const MessagePrefix& got) const {
  check(server_message(round), server_address(round), key, got);
}

}  // namespace popcorn::protocols
