// Inverses of many residues with one modular inversion.
#pragma once

#include <cstddef>
#include <cstdint>

#include "paillier/big_integer.h"
#include "paillier/ciphertext_batch.h"

namespace popcorn::paillier {

/// x[i]⁻¹ mod N² for a whole batch, by Montgomery's trick (running products, one inversion, running
/// quotients) [Montgomery 1987, sec 10.3.1]: 3 multiplications a value and one inversion in all.
/// @throws InputError "ciphertext.not_invertible" when some value shares a factor with N
CiphertextBatch invert_batch(const CiphertextBatch& x, const BigInteger& n_squared);

/// Inverts `count` plain numbers of `limbs` limbs modulo `modulus` in place, with one modular inversion.
/// @throws InputError as invert_batch()
void invert_values(std::uint64_t* values, std::size_t count, std::size_t limbs, const BigInteger& modulus);

}  // namespace popcorn::paillier
