// Slots of a plaintext: the plain side of Evaluator::pack().
#include <algorithm>

#include "base/error.h"
#include "paillier/evaluator.h"

namespace popcorn::paillier {

namespace {

/// Adds the `bits` low bits of `source` to `target` from bit `position` on. Slots do not overlap, so no carry
/// arises.
void put_bits(std::span<std::uint64_t> target, std::size_t position, std::span<const std::uint64_t> source,
              std::size_t bits) {
  for (std::size_t done = 0; done < bits; done += 64) {
    const std::size_t limb = done / 64;
    if (limb >= source.size()) break;
    std::uint64_t word = source[limb];
    if (bits - done < 64) word &= (std::uint64_t{1} << (bits - done)) - 1;
    const std::size_t to = (position + done) / 64;
    const unsigned shift = (position + done) % 64;
    target[to] |= word << shift;
    if (shift != 0 && (word >> (64 - shift)) != 0) target[to + 1] |= word >> (64 - shift);
  }
}

void get_bits(std::span<std::uint64_t> target, std::span<const std::uint64_t> source, std::size_t position,
              std::size_t bits) {
  for (std::size_t done = 0; done < bits; done += 64) {
    const std::size_t from = (position + done) / 64;
    const unsigned shift = (position + done) % 64;
    std::uint64_t word = from < source.size() ? source[from] >> shift : 0;
    if (shift != 0 && from + 1 < source.size()) word |= source[from + 1] << (64 - shift);
    if (bits - done < 64) word &= (std::uint64_t{1} << (bits - done)) - 1;
    target[done / 64] = word;
  }
}

}  // namespace

WideVector pack_slots(const WideVector& values, unsigned slot_bits, std::size_t per_ciphertext) {
  const std::size_t count = (values.size() + per_ciphertext - 1) / per_ciphertext;
  WideVector packed(count, WideVector::limbs_for_bits(slot_bits * per_ciphertext));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values.is_negative(i) || values.bit_length(i) > slot_bits) {
      throw Error("packing.overflow",
                  "a value does not fit its slot of " + std::to_string(slot_bits) + " bits");
    }
    put_bits(packed[i / per_ciphertext], slot_bits * (i % per_ciphertext), values[i], slot_bits);
  }
  return packed;
}

WideVector unpack_slots(const WideVector& packed, unsigned slot_bits, std::size_t per_ciphertext,
                        std::size_t count, std::size_t limbs) {
  if (limbs * 64 <= slot_bits) {
    throw Error("packing.overflow", "slots of " + std::to_string(slot_bits) + " bits need wider values");
  }
  WideVector values(count, limbs);
  for (std::size_t i = 0; i < count; ++i) {
    get_bits(values[i], packed[i / per_ciphertext], slot_bits * (i % per_ciphertext), slot_bits);
  }
  return values;
}

std::size_t slots_per_ciphertext(unsigned key_bits, unsigned slot_bits) {
  return (key_bits - 2) / slot_bits;
}

}  // namespace popcorn::paillier
