#include "paillier/operation_costs.h"

#include <bit>

#include "paillier/exponentiation.h"
#include "paillier/public_context_parts.h"

namespace popcorn::paillier {

std::uint64_t parse_cost(std::size_t count) {
  return 3 * count;
}

std::uint64_t serialise_cost(std::size_t count) {
  return count;
}

std::uint64_t add_cost(std::size_t count) {
  return count;
}

std::uint64_t negate_cost(std::size_t count) {
  return 3 * count;
}

std::uint64_t subtract_cost(std::size_t count) {
  return add_cost(count) + negate_cost(count);
}

std::uint64_t add_plain_cost(std::size_t count) {
  return 2 * count;
}

std::uint64_t scalar_multiply_cost(std::size_t count, unsigned bits) {
  const PowerCost cost = power_cost(bits);
  return (cost.squarings + cost.multiplications) * count;
}

std::uint64_t scalar_multiply_public_cost(std::size_t count, std::int64_t k) {
  const std::uint64_t magnitude = k < 0 ? 0 - static_cast<std::uint64_t>(k) : static_cast<std::uint64_t>(k);
  const std::uint64_t inversion = k < 0 ? negate_cost(count) : 0;
  if (magnitude < 2) return inversion;
  const auto squarings = static_cast<std::uint64_t>(std::bit_width(magnitude) - 1);
  return inversion + (squarings + static_cast<std::uint64_t>(std::popcount(magnitude)) - 1) * count;
}

std::uint64_t pack_cost(std::size_t count, unsigned slot_bits, std::size_t per_ciphertext) {
  const std::size_t packed = (count + per_ciphertext - 1) / per_ciphertext;
  return (count - packed) * (slot_bits + std::uint64_t{1});
}

std::uint64_t rerandomise_cost(std::size_t count, unsigned key_bits, KeyKind kind) {
  const std::size_t windows = (randomness_bits(kind, key_bits) + kGeneratorWindow - 1) / kGeneratorWindow;
  return windows * count;  // one product a window, the last with the ciphertext
}

}  // namespace popcorn::paillier
