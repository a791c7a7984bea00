// The share of a step: the server masks every value, the client opens the masked ones.
//   x_i = c_i − r_i, r_i uniform in [0, 2^(ℓ + 1 + σ)): whatever x_i, c_i is within 2^−σ of the same
//   distribution.
#pragma once

#include "base/bytes.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::protocols {

/// Bits of the masks r.
unsigned mask_bits(unsigned bits);
/// Server: draws the masks, appends the packed, re-randomised [x + r] to `out`, returns r.
WideVector seal_shares(const paillier::Evaluator& evaluator, const paillier::CiphertextBatch& x,
                       unsigned bits, Rng& rng, Bytes& out);
/// Client: c of `count` neurons. @throws InputError "ciphertext.invalid"; ot::FailedCheck
/// "message.plaintext"
WideVector open_shares(const paillier::KeyOwner& owner, ByteView ciphertexts, std::size_t count,
                       unsigned bits);

}  // namespace popcorn::protocols
