// One level of a max-pool tournament on ciphertexts: max(a, b) = b + ReLU(a − b).
#pragma once

#include <cstddef>

#include "paillier/evaluator.h"
#include "protocols/plan/tournament.h"

namespace popcorn::protocols {

/// [a − b] for comparisons first … first + count − 1 of a level. @param values the level's values
paillier::CiphertextBatch differences(const paillier::Evaluator& evaluator, const Tournament::Level& level,
                                      std::size_t first, std::size_t count,
                                      const paillier::CiphertextBatch& values);

/// [max(a, b)] of the same comparisons from [ReLU(a − b)].
paillier::CiphertextBatch winners(const paillier::Evaluator& evaluator, const Tournament::Level& level,
                                  std::size_t first, const paillier::CiphertextBatch& relu,
                                  const paillier::CiphertextBatch& values);

}  // namespace popcorn::protocols
