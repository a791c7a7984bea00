// What the Evaluator's operations cost. Multiplications are exact: in modular multiplications modulo N²
// (squarings included) of a whole batch: what OperationCounts::multiplications grows by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "paillier/keys/keys.h"
#include "paillier/weighted_sum/weighted_sum.h"

namespace popcorn::paillier {

std::uint64_t parse_cost(std::size_t count);
std::uint64_t serialise_cost(std::size_t count);
std::uint64_t add_cost(std::size_t count);
std::uint64_t negate_cost(std::size_t count);
std::uint64_t subtract_cost(std::size_t count);
/// Also of add_residues_inplace().
std::uint64_t add_plain_cost(std::size_t count);
std::uint64_t shift_cost(std::size_t count, unsigned bits);
std::uint64_t scalar_multiply_cost(std::size_t count, unsigned bits);
std::uint64_t scalar_multiply_public_cost(std::size_t count, std::int64_t k);
std::uint64_t pack_cost(std::size_t count, unsigned slot_bits, std::size_t per_ciphertext);
std::uint64_t rerandomise_cost(std::size_t count, unsigned key_bits, KeyKind kind = KeyKind::ordinary);

// Memory, for the kernel in use.

/// A batch of `count` ciphertexts.
std::uint64_t batch_bytes(std::uint64_t count, unsigned key_bits);
/// What an operation's tasks need on all cores together, at most.
std::uint64_t task_bytes(unsigned key_bits);
/// What Evaluator::weighted_sum() needs at its peak, its result included.
std::uint64_t weighted_sum_bytes(const WeightedSumPlan& plan, unsigned key_bits);

}  // namespace popcorn::paillier
