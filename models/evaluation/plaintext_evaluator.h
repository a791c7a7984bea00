// Exact plaintext evaluation: the reference that every encrypted result must equal bit for bit.
#pragma once

#include <memory>
#include <vector>

#include "models/network/integer_network.h"
#include "models/network/rounding.h"
#include "models/network/value_range.h"

namespace popcorn::models {

/// What an evaluation of a requantised network has beside the network; an exact one takes no notice of it.
struct EvaluationOptions {
  Rounding rounding;              ///< to nearest, the network's definition, or stochastic
  std::uint64_t image = 0;        ///< number of the (first) input: independent roundings for each
  RangeCounts* counts = nullptr;  ///< may be null; counts values beyond their range
  /// May be null; FastEvaluator notes what the nodes' values reach
  ValueExtremes* extremes = nullptr;
};

/// All node outputs, in node order, for one input tensor. Exact at any size: 64-bit arithmetic where the
/// static bound allows, wide integers beyond. @throws InputError "input.*" when the input has the wrong size
/// or leaves its range
std::vector<WideVector> evaluate_all(const IntegerNetwork& network, const WideVector& input,
                                     const EvaluationOptions& options = {});

/// The output node's tensor only (frees intermediate tensors).
WideVector evaluate(const IntegerNetwork& network, const WideVector& input,
                    const EvaluationOptions& options = {});

/// Output of one node from the outputs of its operands: the definition of each node kind.
WideVector evaluate_node(const IntegerNetwork& network, std::size_t node,
                         const std::vector<const WideVector*>& operands,
                         const EvaluationOptions& options = {});

/// Fast evaluation for whole test sets, in 32-bit integers where every sum fits (requantised networks do),
/// else in double precision: `count` inputs of network.input().shape.size() integers each, row after row;
/// returns count × output size logits. Exact while every partial sum of every node stays below 2^53
/// (is_exact); beyond that rounding errors are possible and only accuracies should be taken from it. Only
/// non-zero weights cost anything; images are spread over the cores. The network must outlive the evaluator.
/// Thread-safe.
class FastEvaluator {
 public:
  /// @throws InputError "model.value_too_large" when a bound is near the end of the range of double (2^1000)
  explicit FastEvaluator(const IntegerNetwork& network);
  bool is_exact() const noexcept { return exact_; }
  /// @throws InputError "input.size" when there are not `count` whole inputs
  std::vector<double> run(const std::vector<std::int16_t>& inputs, std::size_t count,
                          const EvaluationOptions& options = {}) const;

 private:
  struct Plan;
  const IntegerNetwork& network_;
  std::shared_ptr<const Plan> plan_;
  bool exact_;
};

/// Index of the largest value; the lowest index wins a tie.
std::size_t arg_max(const WideVector& values);

}  // namespace popcorn::models
