// The blinded sign test: the client sees t = τ·z + ε and answers nothing; β = [t ≥ 0].
//
// z = x for f = 0 and −x − 1 for f = 1, with a secret uniform flip f; τ is log-uniform in [1, 2^κ), ε uniform
// in [0, τ). As z is an integer, t ≥ 0 exactly when z ≥ 0: the bit is exact, at 0 and −1 too. The neurons of
// a step are permuted by the caller.
//
// Not leak-free: between two magnitudes b bits apart the distributions of t differ by about b/κ.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "protocols/ciphertext/sign/sign_protocol.h"

namespace popcorn::protocols {

const SignTest& blinded_sign_test();

/// 128-bit unsigned integer of a blinding factor, κ = kBlindingBits.
__extension__ using Blind = unsigned __int128;

/// τ in [1, 2^κ): the octave is uniform, and within its octave the probability of τ is proportional to 1/τ,
/// so that log τ is uniform, as far as integers can be.
Blind draw_blinding_factor(Rng& rng);
/// Uniform in [0, bound), bound > 0.
Blind draw_below(Rng& rng, Blind bound);

}  // namespace popcorn::protocols
