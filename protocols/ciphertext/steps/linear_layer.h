// The linear nodes of a network on ciphertexts: dense, conv2d, sum_pool2d, add, concat (flatten and output
// change nothing). Dense layers, convolutions and pools become paillier::LinearMap; an addition is a product
// of powers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "models/network/integer_network.h"
#include "paillier/evaluator.h"

namespace popcorn::protocols {

/// The sparse map of a dense, conv2d or sum_pool2d node. Taps without a weight are left out.
/// @throws Error "layer.kind" for any other kind
paillier::LinearMap linear_map(const models::IntegerNetwork& network, std::size_t node);

/// One linear node, made ready. Immutable, shared by all sessions.
class LinearLayer {
 public:
  static bool is_linear(models::NodeKind kind) noexcept;
  /// @throws InputError "layer.invalid" as the plan does
  LinearLayer(const models::IntegerNetwork& network, std::size_t node);

  /// The node's tensor from those of its operands. Not re-randomised.
  paillier::CiphertextBatch evaluate(const paillier::Evaluator& evaluator,
                                     std::span<const paillier::CiphertextBatch* const> operands) const;

  struct Cost {
    std::uint64_t multiplications = 0;        ///< modulo N², squarings included
    std::uint64_t naive_multiplications = 0;  ///< one exponentiation for each weight
  };
  Cost cost() const;
  /// What evaluate() needs at its peak beside the operands, its result included.
  std::uint64_t working_bytes(unsigned key_bits) const;

 private:
  models::NodeKind kind_;
  std::vector<std::int64_t> multipliers_;
  std::vector<std::size_t> operand_sizes_;
  std::unique_ptr<paillier::WeightedSumPlan> plan_;
};

}  // namespace popcorn::protocols
