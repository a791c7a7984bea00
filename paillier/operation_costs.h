// Exact costs of the Evaluator's operations, in modular multiplications modulo N² (squarings included) of a
// whole batch: what OperationCounts::multiplications grows by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "paillier/keys.h"

namespace popcorn::paillier {

std::uint64_t parse_cost(std::size_t count);
std::uint64_t serialise_cost(std::size_t count);
std::uint64_t add_cost(std::size_t count);
std::uint64_t negate_cost(std::size_t count);
std::uint64_t subtract_cost(std::size_t count);
std::uint64_t add_plain_cost(std::size_t count);
std::uint64_t scalar_multiply_cost(std::size_t count, unsigned bits);
std::uint64_t scalar_multiply_public_cost(std::size_t count, std::int64_t k);
std::uint64_t pack_cost(std::size_t count, unsigned slot_bits, std::size_t per_ciphertext);
std::uint64_t rerandomise_cost(std::size_t count, unsigned key_bits, KeyKind kind = KeyKind::ordinary);

}  // namespace popcorn::paillier
