// The sign activation on ciphertexts: 2b − 1 in {−1, 1} with b = [x >= 0] = β ⊕ f, from the client's [β].
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::protocols {

/// Client: appends [β] of every neuron.
void answer_sign(const paillier::KeyOwner& owner, std::span<const std::uint8_t> beta, Bytes& out);

/// Server: [2β − 1] where f = 0, its negation where f = 1. Takes the same time whatever f. Not re-randomised.
paillier::CiphertextBatch select_sign(const paillier::Evaluator& evaluator,
                                      std::span<const std::uint8_t> flips,
                                      const paillier::CiphertextBatch& beta);

}  // namespace popcorn::protocols
