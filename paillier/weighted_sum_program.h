// Inside of a WeightedSumPlan: straight-line programs of multiplications, one per row of weights.
#pragma once

#include <cstdint>
#include <vector>

#include "paillier/weighted_sum.h"

namespace popcorn::paillier {

/// A row keeps two registers: `total` and `sum`. In the additive notation of the plaintexts, the bucket
/// method walks the magnitudes from the largest down: sum collects the inputs whose magnitude is at least the
/// current one, and is added to total once per unit of magnitude, so an input of weight w ends up in it w
/// times.
enum class RowOp : std::uint8_t {
  load_sum,      ///< sum = input
  add_sum,       ///< sum += input
  load_total,    ///< total = sum
  add_total,     ///< total += sum
  double_total,  ///< total += total
  add_bias,      ///< total += bias of the channel
  load_bias,     ///< total = bias (or zero) of the channel: a row without weights
};

struct RowStep {
  RowOp op;
  bool negated;       ///< take the inverse of the input
  std::uint32_t tap;  ///< of load_sum, add_sum
};

/// Negative weights either take inverted inputs (3 multiplications an input) or collect in a row of their own
/// whose result is inverted (4 multiplications an output).
enum class NegativeWeights : std::uint8_t { invert_inputs, invert_outputs };

struct WeightedSumPlan::Program {
  LinearMap map;
  PlanCost cost;
  NegativeWeights negative = NegativeWeights::invert_inputs;
  /// Rows of steps: one per channel, or with invert_outputs two per channel (positive, then negative
  /// weights).
  std::vector<std::uint32_t> row_start;
  std::vector<RowStep> steps;
  /// Inputs whose inverse is needed, and for each input its place among them (or kPadding).
  std::vector<std::uint32_t> inverted;
  std::vector<std::uint32_t> inverse_place;
  bool has_bias = false;

  std::size_t rows() const { return row_start.size() - 1; }
};

}  // namespace popcorn::paillier
