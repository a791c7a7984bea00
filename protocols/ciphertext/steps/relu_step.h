// ReLU on ciphertexts, the select of a step: b = [x >= 0] = β ⊕ f, and b·x from the client's [−β] and [β·c].
//
//   [β·c]·[−β]^r = [β·(c − r)] = [β·x]                 for f = 0, b = β
//   [x]·[β·x]^−1 = [(1 − β)·x]                         for f = 1, b = 1 − β
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::protocols {

/// Client: appends [−β] of every neuron, then [β·c] of every neuron. Takes the same time whatever β.
void answer_relu(const paillier::KeyOwner& owner, const WideVector& shares,
                 std::span<const std::uint8_t> beta, Bytes& out);

/// Server: [ReLU(x)] of every neuron. @param selection what answer_relu() sent, parsed
/// @param masks r, below 2^mask_bits. Takes the same time whatever r and f. Not re-randomised.
paillier::CiphertextBatch select_relu(const paillier::Evaluator& evaluator,
                                      const paillier::CiphertextBatch& x, const WideVector& masks,
                                      unsigned mask_bits, std::span<const std::uint8_t> flips,
                                      const paillier::CiphertextBatch& selection);

}  // namespace popcorn::protocols
