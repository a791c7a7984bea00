// Running a WeightedSumPlan on ciphertexts, eight rows or positions at a time.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "paillier/evaluator.h"
#include "paillier/inversion.h"
#include "paillier/parallel.h"
#include "paillier/public_context_parts.h"
#include "paillier/weighted_sum_program.h"

namespace popcorn::paillier {

using kernels::kMaxGroupWords;
using kernels::kMaxLanes;
using kernels::Modulus;

namespace {

using Program = WeightedSumPlan::Program;
using Group = std::array<std::uint64_t, kMaxGroupWords>;

/// Runs the rows of a program over groups of lanes. A lane is one (row, position) pair.
class RowRunner {
 public:
  RowRunner(const Program& program, const CiphertextBatch& inputs, const CiphertextBatch& inverses,
            const CiphertextBatch& biases)
      : program_(program),
        inputs_(inputs),
        inverses_(inverses),
        biases_(biases),
        modulus_(inputs.modulus()) {}

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

  /// Address of the input that a step reads in a lane; null for padding.
  const std::uint64_t* input(const RowStep& step, const Lane& lane) const {
    const std::uint32_t place = program_.map.input_index[step.tap * program_.map.positions + lane.position];
    if (place == LinearMap::kPadding) return nullptr;
    if (step.negated) return modulus_.operand(inverses_.group(0), program_.inverse_place[place]);
    return modulus_.operand(inputs_.group(0), place);
  }

  /// Address of a channel's bias; null for none. The negative half of a split row has none.
  const std::uint64_t* bias(const Lane& lane) const {
    const bool negative_half = program_.negative == NegativeWeights::invert_outputs && lane.row % 2 == 1;
    if (!program_.has_bias || negative_half) return nullptr;
    return modulus_.operand(biases_.group(0), channel(lane));
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
          gather_inputs(step, count);
          gather(sum_.data());
          break;
        case RowOp::add_sum:
          if (const std::size_t present = gather_inputs(step, count); present != 0) {
            gather(operand_.data());
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

  std::size_t gather_inputs(const RowStep& step, std::size_t count) {
    std::size_t present = 0;
    for (std::size_t lane = 0; lane < modulus_.lanes(); ++lane) {
      operands_[lane] = input(step, lanes_[lane]);
      if (lane < count && operands_[lane] != nullptr) ++present;
    }
    return present;
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
            operands_[lane] = input(step, lanes_[lane]);
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

  const Program& program_;
  const CiphertextBatch& inputs_;
  const CiphertextBatch& inverses_;
  const CiphertextBatch& biases_;
  const Modulus& modulus_;
  std::array<Lane, kMaxLanes> lanes_{};
  std::array<const std::uint64_t*, kMaxLanes> operands_{};
  alignas(64) Group sum_;
  alignas(64) Group operand_;
  alignas(64) Group left_;
};

/// Rows in the order they run. When a row fills less than a group, lanes run different rows side by side:
/// rows of like length together waste the fewest lanes.
std::vector<std::uint32_t> row_order(const Program& program, std::size_t lanes) {
  std::vector<std::uint32_t> order(program.rows());
  std::iota(order.begin(), order.end(), 0U);
  if (program.map.positions >= lanes) return order;
  const auto length = [&](std::uint32_t row) { return program.row_start[row + 1] - program.row_start[row]; };
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return length(a) > length(b); });
  return order;
}

}  // namespace

CiphertextBatch Evaluator::weighted_sum(const WeightedSumPlan& plan, const CiphertextBatch& x) const {
  const Program& program = plan.program();
  const LinearMap& map = program.map;
  if (x.size() != map.inputs) {
    throw Error("batch.size", "a linear layer takes " + std::to_string(map.inputs) + " ciphertexts, got " +
                                  std::to_string(x.size()));
  }
  const Modulus& modulus = *context_->parts().modulus;
  CiphertextBatch inverses;
  if (!program.inverted.empty()) inverses = negate(x.gather(program.inverted));
  CiphertextBatch biases;
  if (program.has_bias) biases = encrypt_trivial(map.bias);

  const std::size_t lanes = modulus.lanes();
  const std::vector<std::uint32_t> order = row_order(program, lanes);
  const std::size_t items = program.rows() * map.positions;
  CiphertextBatch rows(context_->parts().modulus, items);
  std::atomic<std::uint64_t> multiplications{0};
  parallel_ranges(rows.groups(), 1, [&](std::size_t begin, std::size_t end) {
    const auto runner = std::make_unique<RowRunner>(program, x, inverses, biases);
    std::uint64_t done = 0;
    alignas(64) Group result;
    for (std::size_t g = begin; g < end; ++g) {
      const std::size_t first = g * lanes;
      const std::size_t count_here = std::min(lanes, items - first);
      done += runner->run(order, first, count_here, result.data());
      for (unsigned lane = 0; lane < count_here; ++lane) {
        const std::size_t item = first + lane;
        const std::size_t place = order[item / map.positions] * map.positions + item % map.positions;
        modulus.kernel().put(modulus.view(), modulus.operand(rows.group(0), place), result.data(), lane);
      }
    }
    multiplications += done;
  });
  count(multiplications);
  if (program.negative == NegativeWeights::invert_inputs) return rows;

  // y = positive · negative⁻¹
  std::vector<std::uint32_t> positive(map.outputs());
  std::vector<std::uint32_t> negative(map.outputs());
  for (std::size_t output = 0; output < map.outputs(); ++output) {
    const std::size_t row = output / map.positions * 2;
    positive[output] = static_cast<std::uint32_t>(row * map.positions + output % map.positions);
    negative[output] = static_cast<std::uint32_t>((row + 1) * map.positions + output % map.positions);
  }
  if (program.cost.inversions == 0) return rows.gather(positive);
  return subtract(rows.gather(positive), rows.gather(negative));
}

}  // namespace popcorn::paillier
