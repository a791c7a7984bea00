// Planning of weighted sums: which products in which order, and what they cost.
#include "paillier/weighted_sum.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "paillier/weighted_sum_program.h"

namespace popcorn::paillier {

namespace {

using Program = WeightedSumPlan::Program;

struct Weight {
  std::uint32_t tap;
  std::int64_t value;
};

/// A weight's digit at one radix position.
struct Digit {
  std::uint32_t tap;
  bool negated;
  std::uint64_t magnitude;
};

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
}

/// Digits of one radix position, largest magnitude first, by the bucket method.
void append_level(std::vector<RowStep>& steps, std::vector<Digit> digits, bool& total_loaded) {
  std::ranges::stable_sort(digits, [](const Digit& a, const Digit& b) { return a.magnitude > b.magnitude; });
  bool sum_loaded = false;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    steps.push_back({sum_loaded ? RowOp::add_sum : RowOp::load_sum, digits[i].negated, digits[i].tap});
    sum_loaded = true;
    const std::uint64_t next = i + 1 < digits.size() ? digits[i + 1].magnitude : 0;
    for (std::uint64_t unit = next; unit < digits[i].magnitude; ++unit) {
      steps.push_back({total_loaded ? RowOp::add_total : RowOp::load_total, false, 0});
      total_loaded = true;
    }
  }
}

/// Steps of one row with weights written in radix 2^radix_bits, signed digits in (−radix/2, radix/2] when
/// `is_signed`.
std::vector<RowStep> row_steps(const std::vector<Weight>& weights, unsigned radix_bits, bool is_signed) {
  std::vector<std::vector<Digit>> levels;
  const std::int64_t radix = std::int64_t{1} << radix_bits;
  for (const Weight& weight : weights) {
    const bool negative = weight.value < 0;
    std::int64_t rest = std::abs(weight.value);
    for (std::size_t level = 0; rest != 0; ++level) {
      std::int64_t digit = rest % radix;
      if (is_signed && digit > radix / 2) digit -= radix;
      rest = (rest - digit) / radix;
      if (levels.size() <= level) levels.emplace_back();
      if (digit == 0) continue;
      levels[level].push_back(
          {weight.tap, negative != (digit < 0), static_cast<std::uint64_t>(std::abs(digit))});
    }
  }
  std::vector<RowStep> steps;
  bool total_loaded = false;
  for (std::size_t level = levels.size(); level-- > 0;) {
    if (total_loaded) steps.insert(steps.end(), radix_bits, {RowOp::double_total, false, 0});
    append_level(steps, std::move(levels[level]), total_loaded);
  }
  return steps;
}

bool is_multiplication(RowOp op) {
  return op == RowOp::add_sum || op == RowOp::add_total || op == RowOp::double_total || op == RowOp::add_bias;
}

/// Multiplications of a row over all positions; padding costs nothing.
std::uint64_t row_cost(const std::vector<RowStep>& steps, const std::vector<std::uint32_t>& present,
                       std::size_t positions) {
  std::uint64_t cost = 0;
  for (const RowStep& step : steps) {
    if (step.op == RowOp::add_sum) {
      cost += present[step.tap];
    } else if (is_multiplication(step.op)) {
      cost += positions;
    }
  }
  return cost;
}

/// The cheapest radix for one row.
std::vector<RowStep> cheapest_row(const std::vector<Weight>& weights, bool allow_signed,
                                  const std::vector<std::uint32_t>& present, std::size_t positions) {
  std::int64_t largest = 0;
  for (const Weight& weight : weights) largest = std::max(largest, std::abs(weight.value));
  const auto bits = static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(largest)));
  std::vector<RowStep> best;
  std::uint64_t best_cost = 0;
  for (unsigned radix_bits = 1; radix_bits <= std::min(bits + 1, 10U); ++radix_bits) {
    for (const bool is_signed : {false, true}) {
      if (is_signed && (!allow_signed || radix_bits == 1)) continue;
      std::vector<RowStep> steps = row_steps(weights, radix_bits, is_signed);
      const std::uint64_t cost = row_cost(steps, present, positions);
      if (best.empty() || cost < best_cost) {
        best = std::move(steps);
        best_cost = cost;
      }
    }
  }
  return best;
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

Program make_program(const LinearMap& map, NegativeWeights negative,
                     const std::vector<std::uint32_t>& present, bool has_bias) {
  Program program;
  program.negative = negative;
  program.has_bias = has_bias;
  program.row_start.push_back(0);
  std::vector<std::uint8_t> needs_inverse(map.inputs);
  bool any_negative_row = false;
  const auto append_row = [&](std::vector<RowStep> steps, bool with_bias) {
    if (steps.empty()) {
      steps.push_back({RowOp::load_bias, false, 0});
    } else if (with_bias) {
      steps.push_back({RowOp::add_bias, false, 0});
    }
    program.cost.multiplications += row_cost(steps, present, map.positions);
    for (const RowStep& step : steps) {
      if (!step.negated) continue;
      for (std::size_t position = 0; position < map.positions; ++position) {
        const std::uint32_t input = map.input_index[step.tap * map.positions + position];
        if (input != LinearMap::kPadding) needs_inverse[input] = 1;
      }
    }
    program.steps.insert(program.steps.end(), steps.begin(), steps.end());
    program.row_start.push_back(static_cast<std::uint32_t>(program.steps.size()));
  };
  for (std::size_t channel = 0; channel < map.channels; ++channel) {
    std::vector<Weight> weights;
    std::vector<Weight> negatives;
    for (std::size_t k = map.row_start[channel]; k < map.row_start[channel + 1]; ++k) {
      if (negative == NegativeWeights::invert_outputs && map.weight[k] < 0) {
        negatives.push_back({map.tap[k], -std::int64_t{map.weight[k]}});
      } else {
        weights.push_back({map.tap[k], map.weight[k]});
      }
    }
    const bool with_bias = has_bias && !map.bias.is_zero(channel);
    const bool allow_signed = negative == NegativeWeights::invert_inputs;
    append_row(cheapest_row(weights, allow_signed, present, map.positions), with_bias);
    if (negative == NegativeWeights::invert_outputs) {
      any_negative_row = any_negative_row || !negatives.empty();
      append_row(cheapest_row(negatives, allow_signed, present, map.positions), false);
    }
  }
  program.inverse_place.assign(map.inputs, LinearMap::kPadding);
  for (std::uint32_t input = 0; input < map.inputs; ++input) {
    if (needs_inverse[input] == 0) continue;
    program.inverse_place[input] = static_cast<std::uint32_t>(program.inverted.size());
    program.inverted.push_back(input);
  }
  program.cost.multiplications += 3 * program.inverted.size();
  program.cost.inversions = program.inverted.empty() ? 0 : 1;
  if (any_negative_row) {  // 3 for the inverse, 1 to combine
    program.cost.multiplications += 4 * map.outputs();
    program.cost.inversions = 1;
  }
  if (has_bias) program.cost.multiplications += map.channels;  // trivial encryptions
  return program;
}

}  // namespace

WeightedSumPlan::WeightedSumPlan(LinearMap map) {
  check(map);
  std::vector<std::uint32_t> present(map.taps);
  for (std::size_t tap = 0; tap < map.taps; ++tap) {
    for (std::size_t position = 0; position < map.positions; ++position) {
      if (map.input_index[tap * map.positions + position] != LinearMap::kPadding) ++present[tap];
    }
  }
  bool has_bias = false;
  for (std::size_t channel = 0; channel < map.channels; ++channel)
    has_bias = has_bias || !map.bias.is_zero(channel);
  Program best = make_program(map, NegativeWeights::invert_inputs, present, has_bias);
  Program other = make_program(map, NegativeWeights::invert_outputs, present, has_bias);
  if (other.cost.multiplications < best.cost.multiplications) best = std::move(other);
  best.cost.naive = naive_cost(map, present);
  best.map = std::move(map);
  program_ = std::make_unique<const Program>(std::move(best));
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
