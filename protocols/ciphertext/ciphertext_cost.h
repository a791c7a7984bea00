// What an inference on ciphertexts costs: the rounds and the network as a session walks them, counting
// instead of computing.
#pragma once

#include "protocols/ciphertext/ciphertext_network.h"
#include "protocols/ciphertext/round_plan.h"
#include "protocols/plan/inference_cost.h"

namespace popcorn::protocols {

/// @throws InputError "model.too_wide"
InferenceCost ciphertext_cost(const CiphertextNetwork& network, const RoundPlan& plan);
InferenceCost ciphertext_client_cost(const RoundPlan& plan);

}  // namespace popcorn::protocols
