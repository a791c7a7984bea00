#include "protocols/shares/shares_schedule.h"

namespace popcorn::protocols::shares {

SharesSchedule::SharesSchedule(const ShareFacts& facts, ShareRounding rounding, const SharePlan& plan,
                               unsigned key_bits)
    : preparation_(preparation_plan(facts, plan)),
      flights_(facts.flights(rounding)),
      ciphertext_bytes_(key_bits / 4) {
  for (const PreparationPlan::Layer& layer : preparation_.layers) {
    layouts_.push_back(cheapest_layout(layer.facts, key_bits));
  }
}

MessageShape SharesSchedule::client_message(std::uint64_t round) const {
  MessageShape shape{MessageKind::flight, 0, 0, ciphertext_bytes_, 0};
  if (round == 0) {
    shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = ot::kBaseRequestBytes;
  } else if (has_layer(round)) {
    shape.kind = MessageKind::preparation;
    shape.ciphertexts = layouts_[layer(round)].inputs();
    if (round == 1) shape.sign_test_bytes = ot::kBaseReplyBytes;
  } else {
    shape.sign_test_bytes = flights_[static_cast<std::size_t>(round - first_flight())].client;
  }
  return shape;
}

MessageShape SharesSchedule::server_message(std::uint64_t round) const {
  MessageShape shape{MessageKind::flight, 0, 0, ciphertext_bytes_, 0};
  if (round == 0) {
    shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = kSetUpReplyBytes;
  } else if (has_layer(round)) {
    shape.kind = MessageKind::preparation;
    shape.ciphertexts = layouts_[layer(round)].outputs();
  } else {
    shape.sign_test_bytes = flights_[static_cast<std::size_t>(round - first_flight())].server;
  }
  return shape;
}

MessageAddress SharesSchedule::client_address(std::uint64_t round) const {
  MessageAddress address;
  address.step = static_cast<std::uint32_t>(round < first_flight() ? round : first_flight());
  address.exchange = static_cast<std::uint32_t>(round < first_flight() ? 0 : round - first_flight());
  return address;
}

std::string SharesSchedule::step_name(std::uint64_t step) const {
  if (step == 0) return "transfers";
  return step < first_flight() ? "preparation of " + preparation_.layers[layer(step)].facts.name : "online";
}

}  // namespace popcorn::protocols::shares
