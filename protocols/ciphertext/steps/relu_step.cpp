#include "protocols/ciphertext/steps/relu_step.h"

#include "protocols/packing/wide_math.h"

namespace popcorn::protocols {

void answer_relu(const paillier::KeyOwner& owner, const WideVector& shares,
                 std::span<const std::uint8_t> beta, Bytes& out) {
  WideVector minus_beta(beta.size(), 1);
  for (std::size_t i = 0; i < beta.size(); ++i) minus_beta.set_int64(i, -static_cast<std::int64_t>(beta[i]));
  WideVector selected = shares;
  mask_inplace(selected, beta);
  owner.encrypt(minus_beta, out);
  owner.encrypt(selected, out);
}

paillier::CiphertextBatch select_relu(const paillier::Evaluator& evaluator,
                                      const paillier::CiphertextBatch& x, const WideVector& masks,
                                      unsigned mask_bits, std::span<const std::uint8_t> flips,
                                      const paillier::CiphertextBatch& selection) {
  const std::size_t count = x.size();
  const paillier::CiphertextBatch minus_beta = selection.slice(0, count);
  const paillier::CiphertextBatch beta_shares = selection.slice(count, count);
  const paillier::CiphertextBatch beta_x =
      evaluator.add(beta_shares, evaluator.scalar_multiply(minus_beta, masks, mask_bits));
  return evaluator.select(beta_x, evaluator.subtract(x, beta_x), flips);
}

}  // namespace popcorn::protocols
