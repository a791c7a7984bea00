#include "protocols/packing/slots.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "protocols/ot/failed_check.h"
#include "protocols/packing/wide_math.h"
#include "protocols/security.h"

namespace popcorn::protocols {

SlotLayout slot_layout(unsigned slot_bits, unsigned offset_bit, unsigned key_bits) {
  const std::size_t per_ciphertext = paillier::slots_per_ciphertext(key_bits, slot_bits);
  if (per_ciphertext == 0) {
    throw InputError("model.too_wide", "a plaintext of a " + std::to_string(key_bits) +
                                           "-bit key is too short for a value of " +
                                           std::to_string(slot_bits) + " bits");
  }
  return {slot_bits, offset_bit, per_ciphertext};
}

unsigned share_slot_bits(unsigned bits) {
  return bits + kStatisticalSecurity + 2;
}

SlotLayout share_layout(unsigned bits, unsigned key_bits) {
  return slot_layout(share_slot_bits(bits), bits, key_bits);
}

SlotLayout logits_layout(unsigned bits, unsigned key_bits) {
  return slot_layout(bits + 1, bits, key_bits);
}

void seal_slots(const paillier::Evaluator& evaluator, const paillier::CiphertextBatch& x,
                const SlotLayout& layout, const WideVector& addends, Bytes& out) {
  paillier::CiphertextBatch packed = evaluator.pack(x, layout.slot_bits, layout.per_ciphertext);
  evaluator.add_plain_inplace(packed, paillier::pack_slots(addends, layout.slot_bits, layout.per_ciphertext));
  evaluator.rerandomise_inplace(packed);
  evaluator.serialise(packed, out);
}

WideVector open_slots(const paillier::KeyOwner& owner, ByteView ciphertexts, const SlotLayout& layout,
                      std::size_t count) {
  const std::size_t packed_count = layout.ciphertexts(count);
  return open_packed(owner.decrypt(ciphertexts, packed_count, packed_limbs(owner.public_key().bits())),
                     layout, count);
}

std::size_t packed_limbs(unsigned key_bits) {
  return WideVector::limbs_for_bits(key_bits);
}

WideVector open_packed(WideVector packed, const SlotLayout& layout, std::size_t count) {
  for (std::size_t j = 0; j < packed.size(); ++j) {
    const std::size_t slots = std::min(layout.per_ciphertext, count - j * layout.per_ciphertext);
    if (packed.is_negative(j) || packed.bit_length(j) > slots * layout.slot_bits) {
      throw ot::FailedCheck(
          "message.plaintext",
          "ciphertext " + std::to_string(j) + " of the message does not hold the packed values of this step");
    }
  }
  WideVector values = paillier::unpack_slots(packed, layout.slot_bits, layout.per_ciphertext, count,
                                             WideVector::limbs_for_bits(layout.slot_bits));
  packed = {};
  subtract_power_of_two(values, layout.offset_bit);
  return values;
}

}  // namespace popcorn::protocols
