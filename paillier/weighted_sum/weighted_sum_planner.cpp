// Planning of weighted sums: which products in which order, and what they cost.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>

#include "base/error.h"
#include "paillier/kernels/kernel.h"
#include "paillier/weighted_sum/factored_batch.h"
#include "paillier/weighted_sum/weighted_sum.h"
#include "paillier/weighted_sum/weighted_sum_digits.h"
#include "paillier/weighted_sum/weighted_sum_tables.h"

namespace popcorn::paillier {

namespace {

using Program = WeightedSumPlan::Program;

constexpr std::uint64_t kLeastTableLimit = std::uint64_t{1} << 16;
/// Tables must save a tenth of the multiplications: their entries go through memory, so that smaller savings
/// were measured to be none.
constexpr double kWorthwhile = 0.9;
/// A layer with at least this many weights is planned with tables only when one of the first trials is
/// worthwhile: planning time.
constexpr std::size_t kLargeLayer = 50000;
constexpr std::size_t kFirstTrials = 2;
constexpr std::size_t kFirstBlock = 5;
constexpr std::size_t kLargestBlock = 16;
/// Shifting the weights of a row makes all of them non-zero, which pays only when most are.
constexpr double kDense = 0.5;
/// Digits of more bits are not tried: a walk takes a step for each magnitude, whether a weight has it or not.
constexpr unsigned kLargestRadixBits = 10;

void check(const LinearMap& map) {
  const auto fail = [](const std::string& what) {
    throw InputError("layer.invalid", "a linear layer " + what);
  };
  if (map.channels == 0 || map.positions == 0) fail("has no outputs");
  if (map.row_start.size() != map.channels + 1 || map.row_start.front() != 0) fail("has a damaged row table");
  if (!std::ranges::is_sorted(map.row_start)) fail("has a damaged row table");
  if (map.row_start.back() != map.tap.size() || map.tap.size() != map.weight.size())
    fail("has a damaged weight table");
  if (map.input_index.size() != map.taps * map.positions) fail("has a damaged input table");
  for (const std::uint32_t tap : map.tap) {
    if (tap >= map.taps) fail("reads a tap that does not exist");
  }
  for (const std::uint32_t input : map.input_index) {
    if (input != LinearMap::kPadding && input >= map.inputs) fail("reads an input that does not exist");
  }
  for (const std::int32_t weight : map.weight) {
    if (weight == 0) fail("lists a weight of zero");
  }
  if (map.bias.size() != map.channels) fail("needs one bias a channel");
  if (map.plane == 0 || map.inputs % map.plane != 0) fail("does not consist of whole planes");
}

/// In how many positions a tap reads an input.
std::vector<std::uint32_t> count_present(const LinearMap& map) {
  std::vector<std::uint32_t> present(map.taps);
  for (std::size_t tap = 0; tap < map.taps; ++tap) {
    for (std::size_t position = 0; position < map.positions; ++position) {
      if (map.input_index[tap * map.positions + position] != LinearMap::kPadding) ++present[tap];
    }
  }
  return present;
}

/// Square-and-multiply for every weight and one multiplication to add it up, as a direct reading of the
/// scheme costs.
std::uint64_t naive_cost(const LinearMap& map, const std::vector<std::uint32_t>& present) {
  std::uint64_t cost = 0;
  for (std::size_t k = 0; k < map.weight.size(); ++k) {
    const auto magnitude = static_cast<std::uint64_t>(std::abs(std::int64_t{map.weight[k]}));
    const auto power =
        static_cast<std::uint64_t>(std::bit_width(magnitude) - 1 + std::popcount(magnitude) - 1);
    cost += (power + 1) * present[map.tap[k]];
  }
  return cost;
}

/// What is common to all plans of a layer.
struct Layer {
  explicit Layer(const LinearMap& linear_map) : map(linear_map), present(count_present(linear_map)) {
    for (std::size_t channel = 0; channel < map.channels; ++channel) {
      has_bias = has_bias || !map.bias.is_zero(channel);
    }
    for (const std::int32_t weight : map.weight) {
      least = std::min<std::int64_t>(least, weight);
      largest = std::max<std::int64_t>(largest, std::abs(std::int64_t{weight}));
    }
  }

  std::size_t table_limit() const {
    return std::max<std::size_t>(kLeastTableLimit, 2 * (map.inputs + map.outputs()));
  }

  const LinearMap& map;
  std::vector<std::uint32_t> present;
  bool has_bias = false;
  std::int64_t least = 0;
  std::int64_t largest = 0;
};

/// Puts a program together row by row, counting its multiplications.
class ProgramWriter {
 public:
  ProgramWriter(const Layer& layer, NegativeWeights negative)
      : layer_(layer), needs_inverse_(layer.map.inputs) {
    program_.negative = negative;
    program_.has_bias = layer.has_bias;
    program_.row_start.push_back(0);
  }

  void set_tables(SharedTables tables, std::uint64_t multiplications) {
    program_.tables = std::move(tables);
    program_.cost.multiplications += multiplications;
    program_.cost.table_entries = program_.tables.entries;
    for (const SharedTables::Combination& combination : program_.tables.combinations) {
      for (const std::uint32_t location : program_.tables.domains[combination.domain].locations) {
        if (combination.parent == SharedTables::kNoParent) need_inverse(combination.first, location);
        need_inverse(combination.last, location);
      }
    }
  }

  /// Multiplications of a row over all positions; padding costs nothing.
  std::uint64_t cost_of(const std::vector<RowStep>& steps) const {
    std::uint64_t cost = 0;
    for (const RowStep& step : steps) {
      if (step.op == RowOp::add_sum) {
        cost += present(step);
      } else if (multiplies_everywhere(step.op)) {
        cost += layer_.map.positions;
      }
    }
    return cost;
  }

  void append_row(std::vector<RowStep> steps, bool with_bias) {
    if (steps.empty()) {
      steps.push_back({RowOp::load_bias});
    } else if (with_bias) {
      steps.push_back({RowOp::add_bias});
    }
    program_.cost.multiplications += cost_of(steps);
    for (const RowStep& step : steps) {
      if (step.source != TermSource::inverse) continue;
      for (std::size_t position = 0; position < layer_.map.positions; ++position) {
        need_inverse_of(layer_.map.input_index[step.index * layer_.map.positions + position]);
      }
    }
    program_.steps.insert(program_.steps.end(), steps.begin(), steps.end());
    program_.row_start.push_back(static_cast<std::uint32_t>(program_.steps.size()));
  }

  /// @param inverted_results results that are inverted, 3 each, and @param combined of them multiplied
  Program finish(std::uint64_t inverted_results, std::uint64_t combined) {
    program_.inverse_place.assign(layer_.map.inputs, LinearMap::kPadding);
    for (std::uint32_t input = 0; input < layer_.map.inputs; ++input) {
      if (needs_inverse_[input] == 0) continue;
      program_.inverse_place[input] = static_cast<std::uint32_t>(program_.inverted.size());
      program_.inverted.push_back(input);
    }
    program_.cost.multiplications += 3 * (program_.inverted.size() + inverted_results) + combined;
    program_.cost.inversions = (program_.inverted.empty() ? 0 : 1) + (inverted_results == 0 ? 0 : 1);
    if (layer_.has_bias) program_.cost.multiplications += layer_.map.channels;  // trivial encryptions
    return std::move(program_);
  }

 private:
  std::uint64_t present(const RowStep& step) const {
    switch (step.source) {
      case TermSource::input:
      case TermSource::inverse:
        return layer_.present[step.index];
      case TermSource::combination: {
        std::uint64_t count = 0;
        const std::uint32_t* const location =
            program_.tables.location.data() + step.displacement * layer_.map.positions;
        for (std::size_t position = 0; position < layer_.map.positions; ++position) {
          if (program_.tables.entry(step.index, location[position]) != LinearMap::kPadding) ++count;
        }
        return count;
      }
      case TermSource::common:
        break;
    }
    return layer_.map.positions;
  }

  void need_inverse(const SharedTables::Factor& factor, std::uint32_t location) {
    if (factor.inverted) need_inverse_of(program_.tables.input(layer_.map, factor.cell, location));
  }
  void need_inverse_of(std::uint32_t input) {
    if (input != LinearMap::kPadding) needs_inverse_[input] = 1;
  }

  const Layer& layer_;
  std::vector<std::uint8_t> needs_inverse_;
  Program program_;
};

/// The weights of the program's rows in their order: see Program::row_start.
struct Rows {
  std::vector<std::vector<Weight>> rows;
  bool any_negative_row = false;
};

Rows rows_of(const Layer& layer, NegativeWeights negative) {
  const LinearMap& map = layer.map;
  Rows result;
  // The power of two keeps the digits few.
  const auto shift = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(-layer.least)));
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    std::vector<Weight> weights;
    std::vector<Weight> negatives;
    std::vector<std::int64_t> shifted(negative == NegativeWeights::shift_rows ? map.taps : 0, shift);
    const bool empty = map.row_start[channel] == map.row_start[channel + 1];
    for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
      if (negative == NegativeWeights::shift_rows) {
        shifted[map.tap[k]] += map.weight[k];
      } else if (negative == NegativeWeights::invert_outputs && map.weight[k] < 0) {
        negatives.push_back({TermSource::input, map.tap[k], -std::int64_t{map.weight[k]}});
      } else {
        weights.push_back({TermSource::input, map.tap[k], map.weight[k]});
      }
    }
    for (std::uint32_t tap = 0; tap < shifted.size() && !empty; ++tap) {
      if (shifted[tap] != 0) weights.push_back({TermSource::input, tap, shifted[tap]});
    }
    if (!shifted.empty() && !empty) weights.push_back({TermSource::common, 0, shift});
    result.rows.push_back(std::move(weights));
    result.any_negative_row = result.any_negative_row || !negatives.empty();
    if (negative == NegativeWeights::invert_outputs) result.rows.push_back(std::move(negatives));
  }
  if (negative == NegativeWeights::shift_rows) {
    std::vector<Weight> ones;
    for (std::uint32_t tap = 0; tap < map.taps; ++tap) ones.push_back({TermSource::input, tap, 1});
    result.rows.push_back(std::move(ones));
  }
  return result;
}

/// Bits of the largest magnitude: one place of that radix holds every weight.
unsigned magnitude_bits(std::int64_t largest) {
  return static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(largest)));
}

std::int64_t largest_magnitude(const std::vector<Weight>& weights) {
  std::int64_t largest = 0;
  for (const Weight& weight : weights) largest = std::max(largest, std::abs(weight.value));
  return largest;
}

/// The same sum with weights of at most `most` in magnitude: larger ones are split into several.
std::vector<Weight> split_weights(const std::vector<Weight>& weights, std::int64_t most) {
  std::vector<Weight> result;
  for (const Weight& weight : weights) {
    for (std::int64_t rest = weight.value; rest != 0;) {
      const std::int64_t part = std::clamp(rest, -most, most);
      result.push_back({weight.source, weight.index, part});
      rest -= part;
    }
  }
  return result;
}

/// The cheapest radix for one row, or the cheapest walk over magnitudes up to some limit, where the few
/// weights beyond it take part twice.
std::vector<RowStep> cheapest_row(const std::vector<Weight>& weights, bool allow_signed,
                                  const ProgramWriter& writer) {
  const std::int64_t largest = largest_magnitude(weights);
  std::vector<RowStep> best;
  std::uint64_t best_cost = 0;
  const auto consider = [&](std::vector<RowStep> steps) {
    const std::uint64_t cost = writer.cost_of(steps);
    if (!best.empty() && cost >= best_cost) return;
    best = std::move(steps);
    best_cost = cost;
  };
  constexpr std::int64_t kLargestLimit = 32;
  for (std::int64_t most = largest - 1; most > largest / 2 && largest <= kLargestLimit; --most) {
    const std::vector<Weight> split = split_weights(weights, most);
    consider(bucket_walk(digits_of(split, {magnitude_bits(most), false}), magnitude_bits(most)));
  }
  for (unsigned bits = 1; bits <= std::min(magnitude_bits(largest) + 1, kLargestRadixBits); ++bits) {
    for (const bool is_signed : {false, true}) {
      if (is_signed && (!allow_signed || bits == 1)) continue;
      consider(bucket_walk(digits_of(weights, {bits, is_signed}), bits));
    }
  }
  return best;
}

Program finish(const Layer& layer, const Rows& rows, NegativeWeights negative, ProgramWriter& writer) {
  if (negative == NegativeWeights::shift_rows) return writer.finish(layer.map.positions, 0);
  if (!rows.any_negative_row) return writer.finish(0, 0);
  Program program = writer.finish(layer.map.outputs(), layer.map.outputs());
  program.has_negative_rows = true;
  return program;
}

/// Whether the bias is added at the end of a row of the program.
bool has_bias(const Layer& layer, NegativeWeights negative, std::size_t row) {
  if (negative == NegativeWeights::invert_outputs) return row % 2 == 0 && !layer.map.bias.is_zero(row / 2);
  return row < layer.map.channels && !layer.map.bias.is_zero(row);
}

Program plan_without_tables(const Layer& layer, NegativeWeights negative) {
  const Rows rows = rows_of(layer, negative);
  ProgramWriter writer(layer, negative);
  for (std::size_t row = 0; row < rows.rows.size(); ++row) {
    const bool allow_signed = negative == NegativeWeights::invert_inputs;
    writer.append_row(cheapest_row(rows.rows[row], allow_signed, writer), has_bias(layer, negative, row));
  }
  return finish(layer, rows, negative, writer);
}

/// A way to share tables.
struct Sharing {
  NegativeWeights negative;
  Radix radix;
  const CellGrid* grid;
};

/// Nothing when the tables are too large.
std::optional<Program> plan_with_tables(const Layer& layer, const Sharing& sharing, std::size_t block_cells) {
  const Rows rows = rows_of(layer, sharing.negative);
  TableBuilder builder(layer.map, *sharing.grid, block_cells);
  for (const std::vector<Weight>& weights : rows.rows) builder.collect(digits_of(weights, sharing.radix));
  std::optional<SharedTables> tables = builder.choose(layer.table_limit());
  if (!tables) return std::nullopt;
  ProgramWriter writer(layer, sharing.negative);
  writer.set_tables(std::move(*tables), builder.multiplications());
  for (std::size_t row = 0; row < rows.rows.size(); ++row) {
    writer.append_row(bucket_walk(builder.replace(row), sharing.radix.bits),
                      has_bias(layer, sharing.negative, row));
  }
  return finish(layer, rows, sharing.negative, writer);
}

/// Cost of a plan whose tables are too large.
constexpr std::uint64_t kTooLarge = std::numeric_limits<std::uint64_t>::max();

/// Keeps the cheaper program. Returns the cost of the new one.
std::uint64_t take_cheaper(std::optional<Program>& best, std::optional<Program> other) {
  if (!other) return kTooLarge;
  const std::uint64_t cost = other->cost.multiplications;
  if (!best || cost < best->cost.multiplications) best = std::move(other);
  return cost;
}

std::vector<Sharing> ways_to_share(const Layer& layer, const CellGrid& grid) {
  const double dense = static_cast<double>(layer.map.channels * layer.map.taps);
  const bool mostly_dense = static_cast<double>(layer.map.weight.size()) >= kDense * dense;
  std::vector<Sharing> ways;
  for (const auto negative :
       {NegativeWeights::shift_rows, NegativeWeights::invert_inputs, NegativeWeights::invert_outputs}) {
    if (negative != NegativeWeights::invert_inputs && layer.least == 0) continue;
    if (negative == NegativeWeights::shift_rows && !mostly_dense) continue;
    ways.push_back({negative, {1, false}, &grid});
    if (layer.largest == 1) continue;
    // All of a weight at one place, by magnitude; and signed digits where inverses are at hand.
    if (negative != NegativeWeights::shift_rows && magnitude_bits(layer.largest) <= kLargestRadixBits) {
      ways.push_back({negative, {magnitude_bits(layer.largest), false}, &grid});
    }
    if (negative == NegativeWeights::invert_inputs) ways.push_back({negative, {2, true}, &grid});
  }
  return ways;
}

/// The next block size that gives another number of blocks; 0 = none.
std::size_t next_block(std::size_t cells, std::size_t block, bool larger) {
  const auto blocks = [&](std::size_t size) { return (cells + size - 1) / size; };
  const std::size_t now = blocks(block);
  do {
    block = larger ? block + 1 : block - 1;
  } while (block >= 2 && block <= kLargestBlock && blocks(block) == now);
  return block < 2 || block > kLargestBlock ? 0 : block;
}

/// The best program with tables, for each grid: tries all ways and, for the best of them, all block sizes
/// around the best. Nothing when none is worthwhile.
std::optional<Program> plan_tables(const Layer& layer, std::uint64_t unshared) {
  const LinearMap& map = layer.map;
  if (map.channels < 2 || map.taps < 2) return std::nullopt;
  std::vector<CellGrid> grids;
  if (map.positions > 1) {
    std::optional<CellGrid> planes = CellGrid::of_planes(map);
    if (planes && planes->cells > 1) grids.push_back(std::move(*planes));
  }
  grids.push_back(CellGrid::of_taps(map));
  const auto is_worthwhile = [&](const std::optional<Program>& program) {
    return program &&
           static_cast<double>(program->cost.multiplications) <= kWorthwhile * static_cast<double>(unshared);
  };
  std::optional<Program> best;
  for (const CellGrid& grid : grids) {
    std::optional<Program> candidate;
    std::optional<Sharing> best_way;
    std::uint64_t best_cost = 0;
    const std::vector<Sharing> ways = ways_to_share(layer, grid);
    for (std::size_t i = 0; i < ways.size(); ++i) {
      if (map.weight.size() >= kLargeLayer && i == kFirstTrials && !is_worthwhile(candidate)) break;
      const std::uint64_t cost = take_cheaper(candidate, plan_with_tables(layer, ways[i], kFirstBlock));
      if (best_way && cost >= best_cost) continue;
      best_way = ways[i];
      best_cost = cost;
    }
    for (const bool larger : {true, false}) {
      std::uint64_t last = best_cost;
      for (std::size_t block = next_block(grid.cells, kFirstBlock, larger); block != 0;
           block = next_block(grid.cells, block, larger)) {
        const std::uint64_t cost = take_cheaper(candidate, plan_with_tables(layer, *best_way, block));
        if (cost >= last && !(cost == kTooLarge && !larger)) break;
        last = cost;
      }
    }
    take_cheaper(best, std::move(candidate));
  }
  return is_worthwhile(best) ? std::move(best) : std::nullopt;
}

/// Takes inputs apart first where that is less work; see kernels/kernel.h for the units of work. For programs
/// without tables.
void factor_inputs(const Layer& layer, Program& program) {
  constexpr std::uint64_t kProduct = 10;
  constexpr std::uint64_t kUnitProduct = 8;
  constexpr std::uint64_t kSquare = 7;
  constexpr std::uint64_t kFactoring = 16;
  constexpr std::uint64_t kFactoringAndInverse = 22;
  constexpr std::uint64_t kInverse = 30;
  constexpr std::uint64_t kLogarithm = 6;
  // Rows run in groups of at most kMaxLanes positions; at least nine of ten lanes must have work.
  const std::size_t positions = layer.map.positions;
  const std::size_t lanes = (positions + kernels::kMaxLanes - 1) / kernels::kMaxLanes * kernels::kMaxLanes;
  if (10 * positions < 9 * lanes) return;
  std::uint64_t terms = 0;
  std::uint64_t products = 0;
  std::uint64_t squares = 0;
  std::uint64_t biases = 0;
  for (const RowStep& step : program.steps) {
    if (step.op == RowOp::add_sum) terms += layer.present[step.index];
    if (step.op == RowOp::add_total) products += positions;
    if (step.op == RowOp::double_total) squares += positions;
    if (step.op == RowOp::add_bias) biases += positions;
  }
  const std::uint64_t results = program.rows() * positions;
  const std::uint64_t rest = kProduct * products + kSquare * squares;
  const std::uint64_t plain = kProduct * (terms + biases) + rest + kInverse * program.inverted.size();
  const bool with_inverses = !program.inverted.empty();
  const std::uint64_t factored = kUnitProduct * terms + rest + kLogarithm * results +
                                 (with_inverses ? kFactoringAndInverse : kFactoring) * layer.map.inputs;
  if (factored * lanes / positions >= plain) return;
  program.factored = true;
  program.cost.multiplications -= biases + 3 * program.inverted.size();
  program.cost.multiplications +=
      results + (with_inverses ? kFactoringAndInverseCost : kFactoringCost) * layer.map.inputs;
  program.cost.inversions = program.has_negative_rows ? 2 : 1;
}

}  // namespace

WeightedSumPlan::WeightedSumPlan(LinearMap map, Tables tables) {
  check(map);
  const Layer layer(map);
  std::optional<Program> best;
  for (const auto negative : {NegativeWeights::invert_inputs, NegativeWeights::invert_outputs}) {
    take_cheaper(best, plan_without_tables(layer, negative));
  }
  factor_inputs(layer, *best);
  const std::uint64_t unshared = best->cost.multiplications;
  if (tables == Tables::when_cheaper) take_cheaper(best, plan_tables(layer, unshared));
  best->cost.unshared = unshared;
  best->cost.naive = naive_cost(map, layer.present);
  best->map = std::move(map);
  program_ = std::make_unique<const Program>(std::move(*best));
}

WeightedSumPlan::~WeightedSumPlan() = default;
WeightedSumPlan::WeightedSumPlan(WeightedSumPlan&&) noexcept = default;
WeightedSumPlan& WeightedSumPlan::operator=(WeightedSumPlan&&) noexcept = default;

const LinearMap& WeightedSumPlan::map() const noexcept {
  return program_->map;
}

const PlanCost& WeightedSumPlan::cost() const noexcept {
  return program_->cost;
}

}  // namespace popcorn::paillier
