#include "protocols/ciphertext/steps/max_pool_step.h"

#include <span>

namespace popcorn::protocols {

paillier::CiphertextBatch differences(const paillier::Evaluator& evaluator, const Tournament::Level& level,
                                      std::size_t first, std::size_t count,
                                      const paillier::CiphertextBatch& values) {
  return evaluator.subtract(values.gather(std::span(level.left).subspan(first, count)),
                            values.gather(std::span(level.right).subspan(first, count)));
}

paillier::CiphertextBatch winners(const paillier::Evaluator& evaluator, const Tournament::Level& level,
                                  std::size_t first, const paillier::CiphertextBatch& relu,
                                  const paillier::CiphertextBatch& values) {
  return evaluator.add(relu, values.gather(std::span(level.right).subspan(first, relu.size())));
}

}  // namespace popcorn::protocols
