#include "protocols/shares/shares_schedule.h"

#include "base/error.h"
#include "protocols/shares/share_dry_run.h"

namespace popcorn::protocols::shares {

namespace {

/// What makes a random transfer takes less, whatever the source.
constexpr std::uint64_t kMostBytesOfTransfer = 4;
constexpr std::uint64_t kMostBytesOfSource = std::uint64_t{1} << 24;

/// Flights may come from the other party: no more bytes are ever awaited than the plan can need, and no
/// fewer.
void check_flights(const ShareFlights& flights, const SharePlan& plan) {
  if (flights.transfers.empty() != prepared_transfers(plan).none()) {
    throw InputError("bundle.shares",
                     std::string("client bundle: \"shares\": its preparation must ") +
                         (flights.transfers.empty() ? "make transfers" : "make no transfers"));
  }
  const ShareStepCost cost = predict_shares(plan).all;
  const std::uint64_t least = cost.bytes[0] + cost.bytes[1];
  const std::uint64_t most =
      least + kMostBytesOfTransfer * (cost.transfers[0] + cost.transfers[1]) + 2 * kMostBytesOfSource;
  std::uint64_t bytes = 0;
  for (const auto* list : {&flights.transfers, &flights.online})
    for (const FlightPair& flight : *list) bytes += flight.client + flight.server;
  if (bytes < least || bytes > most) {
    throw InputError("bundle.shares", "client bundle: \"shares\": flights of " + std::to_string(bytes) +
                                          " bytes in all; its steps take " + std::to_string(least) + " to " +
                                          std::to_string(most));
  }
}

}  // namespace

SharesSchedule::SharesSchedule(const ShareFacts& facts, ShareRounding rounding, const SharePlan& plan,
                               unsigned key_bits)
    : preparation_(preparation_plan(facts, plan)),
      transfers_(prepared_transfers(plan)),
      flights_(facts.flights(rounding)),
      ciphertext_bytes_(key_bits / 4) {
  check_flights(flights_, plan);
  for (const PreparationPlan::Layer& layer : preparation_.layers) {
    layouts_.push_back(cheapest_layout(layer.facts, key_bits));
  }
  divide();
}

void SharesSchedule::divide() {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < layouts_.size(); ++i) {
    const std::uint64_t more = (layouts_[i].inputs() + layouts_[i].outputs()) * ciphertext_bytes_;
    if (prepared_.empty() || bytes + more > kPreparationBytes) {
      prepared_.push_back({i, i});
      bytes = 0;
    }
    prepared_.back().end = i + 1;
    bytes += more;
  }
}

const FlightPair& SharesSchedule::flight(std::uint64_t round) const {
  if (round < first_flight()) return flights_.transfers[static_cast<std::size_t>(round - first_transfers())];
  return flights_.online[static_cast<std::size_t>(round - first_flight())];
}

MessageShape SharesSchedule::client_message(std::uint64_t round) const {
  MessageShape shape{MessageKind::flight, 0, 0, ciphertext_bytes_, 0};
  if (round == 0) {
    shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = ot::kBaseRequestBytes;
  } else if (prepares(round)) {
    shape.kind = MessageKind::preparation;
    for (std::size_t i = prepared(round).first; i < prepared(round).end; ++i)
      shape.ciphertexts += layouts_[i].inputs();
    if (round == 1) shape.sign_test_bytes = ot::kBaseReplyBytes;
  } else {
    if (makes_transfers(round)) shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = flight(round).client;
  }
  return shape;
}

MessageShape SharesSchedule::server_message(std::uint64_t round) const {
  MessageShape shape{MessageKind::flight, 0, 0, ciphertext_bytes_, 0};
  if (round == 0) {
    shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = kSetUpReplyBytes;
  } else if (prepares(round)) {
    shape.kind = MessageKind::preparation;
    for (std::size_t i = prepared(round).first; i < prepared(round).end; ++i)
      shape.ciphertexts += layouts_[i].outputs();
  } else {
    if (makes_transfers(round)) shape.kind = MessageKind::preparation;
    shape.sign_test_bytes = flight(round).server;
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
  if (step == 0 || makes_transfers(step)) return "transfers";
  if (!prepares(step)) return "online";
  const Layers& layers = prepared(step);
  const std::string& first = preparation_.layers[layers.first].facts.name;
  const std::string& last = preparation_.layers[layers.end - 1].facts.name;
  return "preparation of " + first + (layers.end - layers.first > 1 ? " to " + last : "");
}

}  // namespace popcorn::protocols::shares
