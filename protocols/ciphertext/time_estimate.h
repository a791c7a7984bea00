// How long an inference takes on machines like this one: counted work times measured speeds.
#pragma once

#include <memory>
#include <string>

#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/plan/inference_cost.h"
#include "protocols/plan/machine_speed.h"

namespace popcorn::protocols {

/// Measures on a small layer and a small step; about a second at 2048 bits.
/// @param sign_test name @throws RefusedError "sign_test.unknown"
MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>& owner,
                           const std::shared_ptr<const paillier::PublicContext>& context,
                           const std::string& sign_test, Rng& rng = system_rng());

/// Wall seconds if both parties had machines of this speed to themselves and took turns; transport is not in
/// it.
struct TimeEstimate {
  double server_linear = 0;  ///< linear layers
  double server_steps = 0;   ///< everything else of the server
  double client = 0;
  double transfers = 0;  ///< oblivious transfers, both parties
  double total() const noexcept { return server_linear + server_steps + client + transfers; }
};
TimeEstimate estimate_time(const InferenceCost::Layer& layer, unsigned key_bits, const MachineSpeed& speed);
TimeEstimate estimate_time(const InferenceCost& cost, unsigned key_bits, const MachineSpeed& speed);

}  // namespace popcorn::protocols
