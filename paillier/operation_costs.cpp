#include "paillier/operation_costs.h"

#include <algorithm>
#include <bit>
#include <thread>

#include "paillier/exponentiation.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/public_context_parts.h"
#include "paillier/weighted_sum/weighted_sum_program.h"

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

std::uint64_t shift_cost(std::size_t count, unsigned bits) {
  return std::uint64_t{bits} * count;
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
  // One product a window but the first, two for the logarithms and one with the ciphertext.
  return (windows + 2) * count;
}

std::uint64_t batch_bytes(std::uint64_t count, unsigned key_bits) {
  const kernels::Kernel& kernel = kernels::active();
  const std::uint64_t groups = (count + kernel.lanes - 1) / kernel.lanes;
  return groups * kernel.lanes * 2 * kernel.words(key_bits) * sizeof(std::uint64_t);
}

std::uint64_t task_bytes(unsigned key_bits) {
  // A table of powers, or the randomness of a few groups, and room for numbers on their way in and out.
  constexpr std::uint64_t kGroups = 48;
  // Whatever the size of a group: numbers of GMP, tables of pointers.
  constexpr std::uint64_t kSmallObjects = std::uint64_t{32} << 10;
  const std::uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  return cores * (kGroups * batch_bytes(kernels::active().lanes, key_bits) + kSmallObjects);
}

std::uint64_t weighted_sum_bytes(const WeightedSumPlan& plan, unsigned key_bits) {
  const WeightedSumPlan::Program& program = plan.program();
  const LinearMap& map = program.map;
  const auto batch = [&](std::uint64_t count) { return batch_bytes(count, key_bits); };
  const bool has_common = program.negative == NegativeWeights::shift_rows;
  const std::uint64_t factored =
      program.factored ? batch(map.inputs) + (program.inverted.empty() ? 0 : batch(map.inputs)) : 0;
  const std::uint64_t inverses = program.factored ? 0 : batch(program.inverted.size());
  const std::uint64_t common = has_common ? batch(map.positions) : 0;
  const std::uint64_t rows = batch((program.rows() - (has_common ? 1 : 0)) * map.positions);
  const std::uint64_t held = inverses + factored + (program.has_bias ? batch(map.channels) : 0) +
                             batch(program.tables.entries) + 2 * sizeof(std::uint32_t) * map.outputs();
  std::uint64_t results = rows;
  if (program.negative == NegativeWeights::invert_outputs) {  // both halves, the inverse, the sum
    results += (program.has_negative_rows ? 4 : 1) * batch(map.outputs());
  }
  return std::max({2 * inverses, held + 2 * common, held + common + results});
}

}  // namespace popcorn::paillier
