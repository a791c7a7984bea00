// The oblivious sign test: nothing about x is visible to either side.
//
// Let x̂ = x + 2^ℓ ∈ [0, 2^(ℓ+1)), whose bit ℓ is [x ≥ 0], and c' = c + 2^ℓ. From x̂ = c' − r,
//   bit_ℓ(x̂) = bit_ℓ(c') ⊕ bit_ℓ(r) ⊕ [low_ℓ(c') < low_ℓ(r)],
// and the comparison is the millionaires' protocol with shared output (comparison.h). So β = bit_ℓ(c') ⊕
// less_client and f = bit_ℓ(r) ⊕ less_server, f uniform.
//
//   exchange 0      question: nothing                answer: request of batch 0 (the digits)
//   exchange k      question: batch k − 1            answer: request of batch k
//   last exchange   question: the last batch         answer: nothing (the selection follows)
//
// The first step of a session also carries the set-up: a nonce, and unless both parties kept a state from an
// earlier session, the base transfers (ot/base_transfer.h). Seeds for a session are derived from the kept
// ones and the nonce, which the server draws for each session, so that no index of the extension is ever used
// twice, whatever fails.
#pragma once

#include "protocols/sign_test.h"

namespace popcorn::protocols {

const SignTest& oblivious_sign_test();

}  // namespace popcorn::protocols
