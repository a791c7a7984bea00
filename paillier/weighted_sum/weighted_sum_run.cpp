// Running a WeightedSumPlan on ciphertexts, eight rows or positions at a time.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "paillier/evaluator.h"
#include "paillier/inversion.h"
#include "paillier/prefetch.h"
#include "paillier/public_context_parts.h"
#include "paillier/weighted_sum/factored_rows.h"
#include "paillier/weighted_sum/weighted_sum_program.h"

namespace popcorn::paillier {

using kernels::kMaxGroupWords;
using kernels::kMaxLanes;
using kernels::Modulus;

namespace {

using Program = WeightedSumPlan::Program;
using Group = std::array<std::uint64_t, kMaxGroupWords>;

/// What the rows of a program read.
struct Operands {
  const Program& program;
  const CiphertextBatch& inputs;
  CiphertextBatch inverses;
  CiphertextBatch biases;
  CiphertextBatch entries;  ///< of the shared tables
  CiphertextBatch common;   ///< inverse of the common row, one a position

  const Modulus& modulus() const { return inputs.modulus(); }

  /// Address of an input or its inverse; null for padding.
  const std::uint64_t* input(std::uint32_t place, bool inverted) const {
    if (place == LinearMap::kPadding) return nullptr;
    if (inverted) return modulus().operand(inverses.group(0), program.inverse_place[place]);
    return modulus().operand(inputs.group(0), place);
  }

  /// Address of the entry of a combination; null where all its factors are padding.
  const std::uint64_t* entry(std::uint32_t combination, std::uint32_t location) const {
    const std::uint32_t place = program.tables.entry(combination, location);
    return place == LinearMap::kPadding ? nullptr : modulus().operand(entries.group(0), place);
  }

  const std::uint64_t* factor(const SharedTables::Factor& which, std::uint32_t location) const {
    return input(program.tables.input(program.map, which.cell, location), which.inverted);
  }
};

/// Runs the rows of a program over groups of lanes. A lane is one (row, position) pair.
class RowRunner {
 public:
  explicit RowRunner(const Operands& from) : from_(from), program_(from.program), modulus_(from.modulus()) {}

  /// Lanes [first, first + count) of the order `rows` × positions into `result` (a group). Returns
  /// multiplications.
  std::uint64_t run(const std::vector<std::uint32_t>& rows, std::size_t first, std::size_t count,
                    std::uint64_t* result) {
    const std::size_t positions = program_.map.positions;
    for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane) {
      const std::size_t item = first + std::min(lane, count - 1);
      lanes_[lane] = {rows[item / positions], item % positions};
    }
    const bool uniform = rows[first / positions] == rows[(first + count - 1) / positions];
    return uniform ? run_uniform(count, result) : run_mixed(count, result);
  }

 private:
  struct Lane {
    std::uint32_t row;
    std::size_t position;
  };

  std::size_t channel(const Lane& lane) const {
    return program_.negative == NegativeWeights::invert_outputs ? lane.row / 2 : lane.row;
  }

  /// Address of the term that a step reads in a lane; null for padding.
  const std::uint64_t* term(const RowStep& step, const Lane& lane) const {
    const std::size_t positions = program_.map.positions;
    switch (step.source) {
      case TermSource::combination:
        return from_.entry(step.index,
                           program_.tables.location[step.displacement * positions + lane.position]);
      case TermSource::common:
        return modulus_.operand(from_.common.group(0), lane.position);
      case TermSource::input:
      case TermSource::inverse:
        break;
    }
    return from_.input(program_.map.input_index[step.index * positions + lane.position],
                       step.source == TermSource::inverse);
  }

  /// Address of a channel's bias; null for none. The negative half of a split row has none.
  const std::uint64_t* bias(const Lane& lane) const {
    const bool negative_half = program_.negative == NegativeWeights::invert_outputs && lane.row % 2 == 1;
    if (!program_.has_bias || negative_half) return nullptr;
    return modulus_.operand(from_.biases.group(0), channel(lane));
  }

  void gather(std::uint64_t* target) { modulus_.kernel().gather(modulus_.view(), target, operands_.data()); }

  /// All lanes run the same row: one step at a time for all of them.
  std::uint64_t run_uniform(std::size_t count, std::uint64_t* total) {
    const std::size_t bytes = modulus_.group_words() * sizeof(std::uint64_t);
    std::uint64_t multiplications = 0;
    const std::uint32_t row = lanes_[0].row;
    for (std::uint32_t i = program_.row_start[row]; i < program_.row_start[row + 1]; ++i) {
      const RowStep& step = program_.steps[i];
      switch (step.op) {
        case RowOp::load_sum:
          gather_terms(step, count);
          gather(sum_.data());
          break;
        case RowOp::add_sum:
          if (const std::size_t present = gather_terms(step, count); present != 0) {
            gather(operand_.data());
            if (i + 1 < program_.row_start[row + 1]) fetch_step(program_.steps[i + 1], count);
            modulus_.multiply(sum_.data(), sum_.data(), operand_.data());
            multiplications += present;
          }
          break;
        case RowOp::load_total:
          std::memcpy(total, sum_.data(), bytes);
          break;
        case RowOp::add_total:
          modulus_.multiply(total, total, sum_.data());
          multiplications += count;
          break;
        case RowOp::double_total:
          modulus_.square(total, total);
          multiplications += count;
          break;
        case RowOp::add_bias:
        case RowOp::load_bias:
          for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane) operands_[lane] = bias(lanes_[lane]);
          if (step.op == RowOp::load_bias) {
            gather(total);
          } else {
            gather(operand_.data());
            modulus_.multiply(total, total, operand_.data());
            multiplications += count;
          }
          break;
      }
    }
    return multiplications;
  }

  std::size_t gather_terms(const RowStep& step, std::size_t count) {
    std::size_t present = 0;
    for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane) {
      operands_[lane] = term(step, lanes_[lane]);
      if (lane < count && operands_[lane] != nullptr) ++present;
    }
    return present;
  }

  /// The inputs of a layer are larger than the caches near the core: those of the next step are on their way
  /// while this one multiplies. Positions in a row lie in one group or two, those of the first and last lane.
  void fetch_step(const RowStep& step, std::size_t count) const {
    if (step.op != RowOp::load_sum && step.op != RowOp::add_sum) return;
    const std::uint64_t* const first = first_of_line(term(step, lanes_[0]));
    const std::uint64_t* const last = first_of_line(term(step, lanes_[count - 1]));
    fetch_group(first);
    if (last != first) fetch_group(last);
  }
  void fetch_group(const std::uint64_t* group) const {
    if (group != nullptr) fetch_ahead(group, modulus_.group_words());
  }

  /// Lanes run different rows: each takes its own next step, all multiply together. Loads multiply by 1.
  std::uint64_t run_mixed(std::size_t count, std::uint64_t* total) {
    std::uint64_t multiplications = 0;
    std::array<std::uint32_t, kMaxLanes> next{};
    std::array<std::uint32_t, kMaxLanes> end{};
    for (std::size_t lane = 0; lane < count; ++lane) {
      next[lane] = program_.row_start[lanes_[lane].row];
      end[lane] = program_.row_start[lanes_[lane].row + 1];
    }
    for (;;) {
      std::array<const std::uint64_t*, kMaxLanes> left{};
      unsigned to_sum = 0;
      unsigned to_total = 0;
      operands_ = {};
      for (unsigned lane = 0; lane < count; ++lane) {
        if (next[lane] == end[lane]) continue;
        const RowStep& step = program_.steps[next[lane]++];
        const std::uint64_t* const sum = modulus_.operand(sum_.data(), lane);
        const std::uint64_t* const sum_of_all = modulus_.operand(total, lane);
        switch (step.op) {
          case RowOp::load_sum:
          case RowOp::add_sum:
            operands_[lane] = term(step, lanes_[lane]);
            if (step.op == RowOp::add_sum) {
              left[lane] = sum;
              if (operands_[lane] != nullptr) ++multiplications;
            }
            to_sum |= 1U << lane;
            break;
          case RowOp::load_total:
            operands_[lane] = sum;
            to_total |= 1U << lane;
            break;
          case RowOp::add_total:
          case RowOp::double_total:
            left[lane] = sum_of_all;
            operands_[lane] = step.op == RowOp::add_total ? sum : sum_of_all;
            to_total |= 1U << lane;
            ++multiplications;
            break;
          case RowOp::add_bias:
          case RowOp::load_bias:
            operands_[lane] = bias(lanes_[lane]);
            if (step.op == RowOp::add_bias) {
              left[lane] = sum_of_all;
              ++multiplications;
            }
            to_total |= 1U << lane;
            break;
        }
      }
      if ((to_sum | to_total) == 0) return multiplications;
      gather(operand_.data());
      modulus_.kernel().gather(modulus_.view(), left_.data(), left.data());
      modulus_.multiply(operand_.data(), operand_.data(), left_.data());
      modulus_.kernel().blend(modulus_.view(), sum_.data(), operand_.data(), to_sum);
      modulus_.kernel().blend(modulus_.view(), total, operand_.data(), to_total);
    }
  }

  const Operands& from_;
  const Program& program_;
  const Modulus& modulus_;
  std::array<Lane, kMaxLanes> lanes_{};
  std::array<const std::uint64_t*, kMaxLanes> operands_{};
  alignas(64) Group sum_;
  alignas(64) Group operand_;
  alignas(64) Group left_;
};

/// Rows of outputs in the order they run. When a row fills less than a group, lanes run different rows side
/// by side: rows of like length together waste the fewest lanes.
std::vector<std::uint32_t> row_order(const Program& program, std::size_t lanes) {
  const bool has_common = program.negative == NegativeWeights::shift_rows;
  std::vector<std::uint32_t> order(program.rows() - (has_common ? 1 : 0));
  std::iota(order.begin(), order.end(), 0U);
  if (program.map.positions >= lanes) return order;
  const auto length = [&](std::uint32_t row) { return program.row_start[row + 1] - program.row_start[row]; };
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return length(a) > length(b); });
  return order;
}

/// Results of rows (all positions of each), those of `order[i]` at place `slot[i]`. Adds to
/// `multiplications`.
CiphertextBatch run_rows(const Operands& from, const std::vector<std::uint32_t>& order,
                         const std::vector<std::uint32_t>& slot,
                         std::atomic<std::uint64_t>& multiplications) {
  const Modulus& modulus = from.modulus();
  const std::size_t lanes = modulus.lanes();
  const std::size_t positions = from.program.map.positions;
  const std::size_t items = order.size() * positions;
  CiphertextBatch rows(from.inputs.shared_modulus(), items);
  parallel_ranges(rows.groups(), 1, [&](std::size_t begin, std::size_t end) {
    const auto runner = std::make_unique<RowRunner>(from);
    std::uint64_t done = 0;
    alignas(64) Group result;
    for (std::size_t g = begin; g < end; ++g) {
      const std::size_t first = g * lanes;
      const std::size_t count = std::min(lanes, items - first);
      done += runner->run(order, first, count, result.data());
      for (unsigned lane = 0; lane < count; ++lane) {
        const std::size_t item = first + lane;
        const std::size_t place = slot[item / positions] * positions + item % positions;
        modulus.kernel().put(modulus.view(), modulus.operand(rows.group(0), place), result.data(), lane);
      }
    }
    multiplications += done;
  });
  return rows;
}

/// Entries [first, end) of the shared tables, from entries before `first`. Returns the multiplications.
std::uint64_t compute_entries(const Operands& from, CiphertextBatch& entries, std::size_t first,
                              std::size_t end) {
  const Modulus& modulus = from.modulus();
  const SharedTables& tables = from.program.tables;
  std::uint64_t multiplications = 0;
  std::array<const std::uint64_t*, kMaxLanes> left{};
  std::array<const std::uint64_t*, kMaxLanes> right{};
  alignas(64) Group product;
  alignas(64) Group factor;
  auto combination =
      std::ranges::upper_bound(tables.combinations, first, {}, &SharedTables::Combination::place) - 1;
  for (std::size_t place = first; place < end; place += modulus.lanes()) {
    const std::size_t count = std::min(modulus.lanes(), end - place);
    left = {};
    right = {};
    for (std::size_t lane = 0; lane < count; ++lane) {
      while (place + lane >= combination->place + tables.domains[combination->domain].locations.size()) {
        ++combination;
      }
      const std::uint32_t location =
          tables.domains[combination->domain].locations[place + lane - combination->place];
      left[lane] = combination->parent == SharedTables::kNoParent ? from.factor(combination->first, location)
                                                                  : from.entry(combination->parent, location);
      right[lane] = from.factor(combination->last, location);
      if (left[lane] != nullptr && right[lane] != nullptr) ++multiplications;
    }
    modulus.kernel().gather(modulus.view(), product.data(), left.data());
    modulus.kernel().gather(modulus.view(), factor.data(), right.data());
    modulus.multiply(product.data(), product.data(), factor.data());
    for (unsigned lane = 0; lane < count; ++lane) {
      modulus.kernel().put(modulus.view(), modulus.operand(entries.group(0), place + lane), product.data(),
                           lane);
    }
  }
  return multiplications;
}

/// Fills the shared tables, shorter combinations before the longer ones that they are factors of.
void fill_tables(Operands& from, std::atomic<std::uint64_t>& multiplications) {
  const SharedTables& tables = from.program.tables;
  if (tables.empty()) return;
  constexpr std::size_t kGroupsTogether = 8;
  const std::size_t piece = kGroupsTogether * from.modulus().lanes();
  from.entries = CiphertextBatch(from.inputs.shared_modulus(), tables.entries);
  std::uint32_t begin = 0;
  for (const std::uint32_t last : tables.length_end) {
    const std::size_t first = tables.combinations[begin].place;
    const SharedTables::Combination& final_one = tables.combinations[last - 1];
    const std::size_t end = final_one.place + tables.domains[final_one.domain].locations.size();
    begin = last;
    parallel_ranges((end - first + piece - 1) / piece, 1,
                    [&](std::size_t begin_piece, std::size_t end_piece) {
                      multiplications += compute_entries(from, from.entries, first + begin_piece * piece,
                                                         std::min(end, first + end_piece * piece));
                    });
  }
}

/// Places of the positive (0) or the negative (1) halves of all outputs in the batch of rows.
std::vector<std::uint32_t> half_places(const LinearMap& map, std::size_t half) {
  std::vector<std::uint32_t> places(map.outputs());
  for (std::size_t output = 0; output < map.outputs(); ++output) {
    const std::size_t row = output / map.positions * 2 + half;
    places[output] = static_cast<std::uint32_t>(row * map.positions + output % map.positions);
  }
  return places;
}

}  // namespace

CiphertextBatch Evaluator::weighted_sum(const WeightedSumPlan& plan, const CiphertextBatch& x) const {
  const Program& program = plan.program();
  const LinearMap& map = program.map;
  if (x.size() != map.inputs) {
    throw Error("batch.size", "a linear layer takes " + std::to_string(map.inputs) + " ciphertexts, got " +
                                  std::to_string(x.size()));
  }
  if (program.factored) return factored_weighted_sum(plan, x);
  Operands from{program, x, {}, {}, {}, {}};
  if (!program.inverted.empty()) from.inverses = negate(x.gather(program.inverted));
  if (program.has_bias) from.biases = encrypt_trivial(map.bias);
  std::atomic<std::uint64_t> multiplications{0};
  fill_tables(from, multiplications);
  if (program.negative == NegativeWeights::shift_rows) {
    const auto common = static_cast<std::uint32_t>(program.common_row());
    from.common = negate(run_rows(from, {common}, {0}, multiplications));
  }
  const std::vector<std::uint32_t> order = row_order(program, x.modulus().lanes());
  CiphertextBatch rows = run_rows(from, order, order, multiplications);
  count(multiplications);
  return combine_halves(program, std::move(rows));
}

CiphertextBatch Evaluator::factored_weighted_sum(const WeightedSumPlan& plan,
                                                 const CiphertextBatch& x) const {
  const Program& program = plan.program();
  const LinearMap& map = program.map;
  const bool with_inverses = !program.inverted.empty();
  FactoredOperands from{program, factor_batch(x, context_->parts().n, with_inverses), {}};
  count((with_inverses ? kFactoringAndInverseCost : kFactoringCost) * x.size(), 0, 1);
  if (program.has_bias) from.biases = plain_logarithms(map.bias);
  std::atomic<std::uint64_t> multiplications{0};
  CiphertextBatch rows = run_factored_rows(from, multiplications);
  count(multiplications);
  return combine_halves(program, std::move(rows));
}

CiphertextBatch Evaluator::combine_halves(const Program& program, CiphertextBatch rows) const {
  if (program.negative != NegativeWeights::invert_outputs) return rows;
  // y = positive · negative⁻¹
  if (!program.has_negative_rows) return rows.gather(half_places(program.map, 0));
  return subtract(rows.gather(half_places(program.map, 0)), rows.gather(half_places(program.map, 1)));
}

}  // namespace popcorn::paillier
