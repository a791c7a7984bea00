// Exact costs of the operations that several parts of the protocols share; see paillier/operation_costs.h.
#pragma once

#include <cstdint>

#include "paillier/operation_costs.h"
#include "protocols/packing/slots.h"

namespace popcorn::protocols {

/// Multiplications of seal_slots() for `count` values.
inline std::uint64_t seal_cost(std::uint64_t count, const SlotLayout& layout, unsigned key_bits) {
  const std::size_t packed = layout.ciphertexts(count);
  return paillier::pack_cost(count, layout.slot_bits, layout.per_ciphertext) +
         paillier::add_plain_cost(packed) + paillier::rerandomise_cost(packed, key_bits) +
         paillier::serialise_cost(packed);
}

}  // namespace popcorn::protocols
