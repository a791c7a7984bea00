#include "protocols/shares/run/share_cost.h"

#include <algorithm>

#include "protocols/ot/bits/bit_planes.h"
#include "protocols/shares/run/share_run_step.h"

namespace popcorn::protocols::shares {

namespace {

using ot::FlightLedger;

void enter_pool(FlightLedger& ledger, const InteractiveStep& step, const StepChunk& chunk) {
  for (const MaximumRound& round : step.maxima.rounds) {
    ot::maximum(ledger, {groups_of(step, chunk, round.left.size()), step.digit_bits});
  }
}

void enter_sign(FlightLedger& ledger, const ShareStep& step, const StepChunk& chunk) {
  const InteractiveStep& pieces = step.interactive;
  const std::size_t channels = chunk.channels.size();
  ot::sign(ledger, {channels * pieces.plane, pieces.ring, pieces.neighbour, pieces.digit_bits});
  for (const DisjunctionRound& round : pieces.disjunctions.rounds)
    ot::conjunction(ledger, round.inputs, channels * round.members.size() / round.inputs);
  ot::bit_to_word(ledger, channels * pieces.result_plane, step.ring - 1);
}

void enter_label(FlightLedger& ledger, const ShareStep& step, std::size_t classes) {
  for (const ArgMaxRound& round : step.arg_max) {
    const Meetings meetings = meetings_of(round);
    ot::sign(ledger, {meetings.pairs.size(), step.interactive.ring, false, step.interactive.digit_bits});
    if (round.group > 2) ot::conjunction(ledger, round.group - 1, round.count);
    ot::multiplex(ledger, {{round.count, step.interactive.ring}});
  }
  ledger.message(true, key_bits(classes) * ot::plane_bytes(1));
}

std::size_t pieces_of(const ShareStep& step) {
  if (step.kind == ShareStep::Kind::interactive) return step.interactive.chunks.size();
  return step.kind == ShareStep::Kind::settle || step.kind == ShareStep::Kind::label ? 1 : 0;
}

void enter_piece(FlightLedger& ledger, const SharePlan& plan, const ShareStep& step, std::size_t piece) {
  const std::size_t values = plan.network.nodes[step.node].size();
  switch (step.kind) {
    case ShareStep::Kind::settle:
      ot::bit_to_word(ledger, values, step.ring);
      break;
    case ShareStep::Kind::interactive:
      enter_chunk(ledger, step, step.interactive.chunks[piece]);
      break;
    case ShareStep::Kind::label:
      enter_label(ledger, step, values);
      break;
    case ShareStep::Kind::re_share:
      ot::re_share(ledger, values, step.ring);
      break;
    case ShareStep::Kind::logits:
      ledger.message(true, step.ring * ot::plane_bytes(values));
      break;
    default:
      break;
  }
}

ShareStepCost totals(const FlightLedger& ledger) {
  return {{ledger.bytes(true), ledger.bytes(false)}, ledger.transfers(), ledger.flights().size()};
}

ShareStepCost operator-(ShareStepCost a, const ShareStepCost& b) {
  for (std::size_t i = 0; i < 2; ++i) {
    a.bytes[i] -= b.bytes[i];
    a.transfers[i] -= b.transfers[i];
  }
  a.flights -= b.flights;
  return a;
}

}  // namespace

void enter_chunk(FlightLedger& ledger, const ShareStep& step, const StepChunk& chunk) {
  const InteractiveStep& pieces = step.interactive;
  if (pieces.sign) return enter_sign(ledger, step, chunk);
  const bool rectify_behind = pieces.rectifies && pieces.pool_first;
  if (pieces.rectifies && !rectify_behind) {
    ot::truncate_and_rectify(ledger, chunk.shape);
  } else {
    ot::truncate(ledger, chunk.shape);
  }
  enter_pool(ledger, pieces, chunk);
  const ot::WordGroups groups = groups_of(pieces, chunk, pieces.result_plane);
  if (rectify_behind) ot::rectify(ledger, {groups, pieces.digit_bits});
  ot::extend(ledger, groups, step.ring);
}

ShareCost predict_shares(const SharePlan& plan) {
  ShareCost cost;
  FlightLedger ledger;
  for (const ShareStep& step : plan.steps) {
    const ShareStepCost before = totals(ledger);
    for (std::size_t piece = 0; piece < std::max<std::size_t>(1, pieces_of(step)); ++piece)
      enter_piece(ledger, plan, step, piece);
    cost.steps.push_back(totals(ledger) - before);
  }
  ledger.finish();
  cost.all = totals(ledger);
  cost.flights = ledger.flights();
  return cost;
}

std::vector<TransferNeed> plan_reserves(const SharePlan& plan) {
  std::vector<TransferNeed> needs;
  FlightLedger ledger;
  for (const ShareStep& step : plan.steps) {
    const std::size_t pieces = pieces_of(step);
    for (std::size_t piece = 0; piece < std::max<std::size_t>(1, pieces); ++piece) {
      const auto before = ledger.transfers();
      enter_piece(ledger, plan, step, piece);
      if (pieces > 0) needs.push_back({ledger.transfers()[0] - before[0], ledger.transfers()[1] - before[1]});
    }
  }
  std::vector<TransferNeed> reserves(needs.size());
  for (std::size_t i = 0; i < needs.size();) {
    const std::size_t begin = i;
    TransferNeed& sum = reserves[begin];
    const auto more = [&] {
      return std::max(sum.from_server + needs[i].from_server, sum.from_client + needs[i].from_client);
    };
    while (i < needs.size() && (i == begin || more() <= plan.options.transfers_ahead)) {
      sum.from_server += needs[i].from_server;
      sum.from_client += needs[i].from_client;
      ++i;
    }
  }
  return reserves;
}

}  // namespace popcorn::protocols::shares
