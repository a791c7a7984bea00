// What the online phase of a plan sends, exactly and before it runs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "protocols/ot/steps/flight_ledger.h"
#include "protocols/shares/plan/share_plan.h"

namespace popcorn::protocols::shares {

/// Of one step, or of all; without what makes the random transfers.
struct ShareStepCost {
  std::array<std::uint64_t, 2> bytes{};      ///< from the server, from the client
  std::array<std::uint64_t, 2> transfers{};  ///< whose pads the server has both of, whose the client
  std::uint64_t flights = 0;                 ///< that begin in it
};

struct ShareCost {
  std::vector<ShareStepCost> steps;  ///< as SharePlan::steps
  ShareStepCost all;
  std::vector<ot::Flight> flights;  ///< first: the server
};

ShareCost predict_shares(const SharePlan& plan);

/// Random transfers by who has both pads: the server's, the client's.
struct TransferNeed {
  std::uint64_t from_server = 0, from_client = 0;
  bool none() const noexcept { return from_server + from_client == 0; }
};
/// What the next piece of the plan takes and, ahead, those behind it; in the order in which pieces run: one
/// for every settle and label step, one a chunk of an interactive step. Zero where enough was made before.
std::vector<TransferNeed> plan_reserves(const SharePlan& plan);

/// One chunk of a step; its turn is the ledger's.
void enter_chunk(ot::FlightLedger& ledger, const ShareStep& step, const StepChunk& chunk);

}  // namespace popcorn::protocols::shares
