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
// The first step of a session also carries the set-up. Without a state that both parties kept from an earlier
// session: a nonce of the server, which becomes the state's name, and the base transfers
// (ot/base_transfer.h), whose first message is the client's. With one: a nonce of each party, 16 bytes. The
// streams of a session are those of the kept seeds, the client's nonce and the server's; each party draws its
// own for each session, so neither can bring a stream back, whatever fails, is repeated, is restored from a
// copy, or runs at the same time: every session reserves its range of the extension by its nonces, and a
// session that failed has used it up.
#pragma once

#include "protocols/ciphertext/sign/sign_protocol.h"

namespace popcorn::protocols {

const SignTest& oblivious_sign_test();

}  // namespace popcorn::protocols
