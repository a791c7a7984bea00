// Predicted peak memory of a session: walks the rounds as the two parties do, adding up what they hold.
#pragma once

#include <cstdint>

#include "protocols/ciphertext/ciphertext_network.h"
#include "protocols/ciphertext/round_plan.h"

namespace popcorn::protocols {

/// Upper bounds in bytes for the kernel in use: what one session holds and computes with at its peak, the
/// message that it answers and its answer included. Without what all sessions of a model or of a key share.
struct SessionMemory {
  std::uint64_t server = 0;
  std::uint64_t client = 0;
};
SessionMemory predict_memory(const CiphertextNetwork& model, const RoundPlan& plan);
/// The client's part of it, which needs no model.
std::uint64_t predict_client_memory(const RoundPlan& plan);

}  // namespace popcorn::protocols
