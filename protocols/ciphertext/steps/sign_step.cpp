#include "protocols/ciphertext/steps/sign_step.h"

#include "base/wide_vector.h"

namespace popcorn::protocols {

void answer_sign(const paillier::KeyOwner& owner, std::span<const std::uint8_t> beta, Bytes& out) {
  WideVector bits(beta.size(), 1);
  for (std::size_t i = 0; i < beta.size(); ++i) bits.set_int64(i, beta[i]);
  owner.encrypt(bits, out);
}

paillier::CiphertextBatch select_sign(const paillier::Evaluator& evaluator,
                                      std::span<const std::uint8_t> flips,
                                      const paillier::CiphertextBatch& beta) {
  WideVector minus_one(beta.size(), 1);
  for (std::size_t i = 0; i < beta.size(); ++i) minus_one.set_int64(i, -1);
  paillier::CiphertextBatch sign = evaluator.add(beta, beta);
  evaluator.add_plain_inplace(sign, minus_one);
  return evaluator.select(sign, evaluator.negate(sign), flips);
}

}  // namespace popcorn::protocols
