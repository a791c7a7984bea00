// Packed plaintexts on the way from server to client: layouts, sealing (server) and opening (client).
//
// Slot i of a plaintext holds x_i + 2^offset_bit at weight 2^(slot_bits·i), which is never negative; a
// plaintext stays below 2^(|N| − 2) < N/2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/wide_vector.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"

namespace popcorn::protocols {

struct SlotLayout {
  unsigned slot_bits = 0;
  unsigned offset_bit = 0;
  std::size_t per_ciphertext = 0;

  std::size_t ciphertexts(std::uint64_t values) const noexcept {
    return static_cast<std::size_t>((values + per_ciphertext - 1) / per_ciphertext);
  }
};

/// @throws InputError "model.too_wide" when a plaintext of |N| = key_bits holds no such slot
SlotLayout slot_layout(unsigned slot_bits, unsigned offset_bit, unsigned key_bits);
/// Bits of one slot of share_layout().
unsigned share_slot_bits(unsigned bits);
/// Masked shares c = x + r, |x| < 2^bits, 0 <= r < 2^(bits + 1 + σ): slots of bits + σ + 2.
SlotLayout share_layout(unsigned bits, unsigned key_bits);
/// Output values |x| < 2^bits: slots of bits + 1.
SlotLayout logits_layout(unsigned bits, unsigned key_bits);

/// Server: packs x, adds `addends` to the slots (what is wanted beside x, with the layout's offset, so that
/// every slot ends in [0, 2^slot_bits)), re-randomises and appends the ciphertexts to `out`.
void seal_slots(const paillier::Evaluator& evaluator, const paillier::CiphertextBatch& x,
                const SlotLayout& layout, const WideVector& addends, Bytes& out);

/// Client: decrypts and unpacks `count` values and takes the offset off again.
/// @throws InputError "ciphertext.invalid"; ot::FailedCheck "message.plaintext" when a plaintext is not such
/// a packing: that it is refused tells the sender something about what it was computed from
WideVector open_slots(const paillier::KeyOwner& owner, ByteView ciphertexts, const SlotLayout& layout,
                      std::size_t count);
/// Words of a packed plaintext as open_packed() takes it.
std::size_t packed_limbs(unsigned key_bits);
/// open_slots() of plaintexts that were decrypted before. @throws ot::FailedCheck "message.plaintext"
WideVector open_packed(WideVector packed, const SlotLayout& layout, std::size_t count);

}  // namespace popcorn::protocols
