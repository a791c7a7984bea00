// Inside of a WeightedSumPlan: straight-line programs of multiplications, one per row of weights, over inputs
// and over products of inputs that several rows share.
#pragma once

#include <cstdint>
#include <vector>

#include "paillier/weighted_sum/weighted_sum.h"

namespace popcorn::paillier {

/// A row keeps two registers: `total` and `sum`. In the additive notation of the plaintexts, the bucket
/// method walks the magnitudes from the largest down: sum collects the terms whose magnitude is at least the
/// current one, and is added to total once per unit of magnitude, so a term of weight w ends up in it w
/// times.
enum class RowOp : std::uint8_t {
  load_sum,      ///< sum = term
  add_sum,       ///< sum += term
  load_total,    ///< total = sum
  add_total,     ///< total += sum
  double_total,  ///< total += total
  add_bias,      ///< total += bias of the channel
  load_bias,     ///< total = bias (or zero) of the channel: a row without weights
};

/// What load_sum and add_sum read.
enum class TermSource : std::uint8_t {
  input,        ///< the input of a tap
  inverse,      ///< its inverse
  combination,  ///< an entry of the shared tables
  common,       ///< the inverse of the sum over all taps, see NegativeWeights::shift_rows
};

struct RowStep {
  RowOp op;
  TermSource source = TermSource::input;
  std::uint16_t displacement = 0;  ///< of a combination
  std::uint32_t index = 0;         ///< tap, or combination
};

/// How a plan copes with negative weights.
enum class NegativeWeights : std::uint8_t {
  invert_inputs,   ///< they take inverted inputs: 3 multiplications an input
  invert_outputs,  ///< they collect in a row of their own whose result is inverted: 4 an output
  shift_rows,      ///< Σ w·x = Σ (w + s)·x − s·Σ x; Σ x is one more row, inverted: 3 a position
};

/// The shared tables. Taps are split into a *cell* and a *displacement*, so that tap t reads at position p
/// the input of its cell at location_of(displacement, p). A *combination* is a product of inputs (or
/// inverses) of a few cells at one location; it is computed once at each location where some row needs it. In
/// a convolution cells are input channels and locations are pixels, so that all taps of the window and all
/// output channels share an entry. In a dense layer, and where that structure is missing, cells are taps and
/// locations are positions.
struct SharedTables {
  /// Locations at which a combination has entries.
  struct Domain {
    std::vector<std::uint32_t> locations;  ///< ascending
    std::vector<std::uint32_t> rank;       ///< of each location among them, or kPadding
  };
  struct Factor {
    std::uint32_t cell;
    bool inverted;
  };
  static constexpr std::uint32_t kNoParent = 0xffffffff;
  struct Combination {
    std::uint32_t parent;  ///< a shorter combination, or kNoParent: `first` is the left factor
    Factor first;
    Factor last;
    std::uint32_t domain;
    std::uint32_t place;  ///< of its first entry; the others follow in the order of the domain
  };

  bool by_position = true;  ///< cells are taps, locations are positions
  std::size_t locations = 0;
  std::vector<std::uint32_t> location;  ///< displacements × positions: a location or kPadding
  std::vector<Domain> domains;
  std::vector<Combination> combinations;  ///< shorter ones first; places ascend
  std::vector<std::uint32_t> length_end;  ///< end of the combinations of two factors, of three, …
  std::uint32_t entries = 0;

  bool empty() const { return combinations.empty(); }
  /// The input of a cell at a location, or kPadding.
  std::uint32_t input(const LinearMap& map, std::uint32_t cell, std::uint32_t at) const {
    return by_position ? map.input_index[std::size_t{cell} * map.positions + at]
                       : static_cast<std::uint32_t>(cell * map.plane + at);
  }
  /// Place of the entry of a combination at a location, or kPadding.
  std::uint32_t entry(std::uint32_t combination, std::uint32_t at) const {
    if (at == LinearMap::kPadding) return LinearMap::kPadding;
    const Combination& which = combinations[combination];
    const std::uint32_t rank = domains[which.domain].rank[at];
    return rank == LinearMap::kPadding ? rank : which.place + rank;
  }
};

struct WeightedSumPlan::Program {
  LinearMap map;
  PlanCost cost;
  NegativeWeights negative = NegativeWeights::invert_inputs;
  /// Rows of steps: one per channel; with invert_outputs two per channel (positive, then negative weights);
  /// with shift_rows one more at the end, the sum over all taps.
  std::vector<std::uint32_t> row_start;
  std::vector<RowStep> steps;
  SharedTables tables;
  /// Inputs whose inverse is needed, and for each input its place among them (or kPadding).
  std::vector<std::uint32_t> inverted;
  std::vector<std::uint32_t> inverse_place;
  bool has_bias = false;
  bool has_negative_rows = false;  ///< with invert_outputs: some weight is negative
  /// Inputs are taken apart into units and logarithms first (factored_batch.h), which makes a multiplication
  /// by an input cheaper.
  bool factored = false;

  std::size_t rows() const { return row_start.size() - 1; }
  /// The row that is computed first and inverted.
  std::size_t common_row() const { return map.channels; }
};

}  // namespace popcorn::paillier
