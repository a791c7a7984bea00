#include "protocols/ciphertext/steps/share.h"

#include "protocols/packing/draws.h"
#include "protocols/packing/slots.h"
#include "protocols/packing/wide_math.h"
#include "protocols/security.h"

namespace popcorn::protocols {

unsigned mask_bits(unsigned bits) {
  return bits + 1 + kStatisticalSecurity;
}

WideVector seal_shares(const paillier::Evaluator& evaluator, const paillier::CiphertextBatch& x,
                       unsigned bits, Rng& rng, Bytes& out) {
  WideVector masks = draw_integers(rng, x.size(), mask_bits(bits));
  WideVector addends = masks;
  add_power_of_two(addends, bits);
  seal_slots(evaluator, x, share_layout(bits, evaluator.key().bits()), addends, out);
  return masks;
}

WideVector open_shares(const paillier::KeyOwner& owner, ByteView ciphertexts, std::size_t count,
                       unsigned bits) {
  return open_slots(owner, ciphertexts, share_layout(bits, owner.public_key().bits()), count);
}

}  // namespace popcorn::protocols
