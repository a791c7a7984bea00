// Ciphertexts as units and logarithms (see kernels/kernel.h), and their inverses in that form.
#pragma once

#include "paillier/big_integer.h"
#include "paillier/ciphertext_batch.h"

namespace popcorn::paillier {

/// x = û·(1 + N·λ): a group holds u of the unit and λ·R mod N in the place of w. No residues: only
/// kernel::multiply_unit() and kernel::add_logarithm() read them.
struct FactoredBatch {
  CiphertextBatch units;
  CiphertextBatch inverses;  ///< of the same ciphertexts, in the same form; empty when not asked for
};

/// Costs of factor_batch(), in multiplications a ciphertext (rounded up from 1.6 and 2.2).
inline constexpr unsigned kFactoringCost = 2;
inline constexpr unsigned kFactoringAndInverseCost = 3;

/// One modular inversion in all.
/// @throws InputError "ciphertext.not_invertible"
FactoredBatch factor_batch(const CiphertextBatch& x, const BigInteger& n, bool with_inverses);

}  // namespace popcorn::paillier
