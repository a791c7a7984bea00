#include "cli/bench/transfer_steps.h"

#include <algorithm>

#include "base/random.h"

namespace popcorn::cli {

namespace ot = protocols::ot;
using ot::Dialogue;
using ot::TransferParty;
using ot::Words;

namespace {

std::uint32_t random_word() {
  return static_cast<std::uint32_t>(system_rng().next_u64());
}

ot::TruncationShape truncation_shape(unsigned ring, unsigned kept) {
  ot::TruncationShape shape;
  shape.ring = ring;
  shape.groups = {{kStepValues, ring - kept}};
  return shape;
}

Dialogue<Words> run_relu(TransferParty& party, const ot::TruncationShape& shape, const Words& x,
                         const Words& lowest) {
  const ot::WordGroups kept = shape.kept();
  const Words words = co_await ot::truncate_and_rectify(party, shape, x, shape.neighbour ? &lowest : nullptr);
  Words result = co_await ot::extend(party, kept, shape.ring, words, false);
  co_return result;
}

Step relu_step(unsigned ring, unsigned kept, bool exact) {
  ot::TruncationShape shape = truncation_shape(ring, kept);
  const unsigned shift = ring - kept;
  shape.nearest = shape.neighbour = exact;
  Step step;
  ot::truncate_and_rectify(step.cost, shape);
  ot::extend(step.cost, shape.kept(), ring);
  step.ring = step.result_ring = ring;
  step.low = -(std::int64_t{1} << (ring - 1));
  step.high = (std::int64_t{1} << (ring - 1)) - (std::int64_t{1} << shift);
  step.neighbour = exact;
  step.run = [shape](TransferParty& party, const Words& x, const Words&, const Words& lowest) {
    return run_relu(party, shape, x, lowest);
  };
  step.right = [exact, shift](std::int64_t x, std::int64_t, std::uint32_t result) {
    const std::int64_t half = std::int64_t{1} << (shift - 1);
    if (exact) return std::int64_t{result} == std::max<std::int64_t>(0, (x + half) >> shift);
    const std::int64_t floor = x >> shift;
    return std::int64_t{result} == std::max<std::int64_t>(0, floor) ||
           std::int64_t{result} == std::max<std::int64_t>(0, floor + 1);
  };
  return step;
}

Dialogue<Words> run_truncation(TransferParty& party, const ot::TruncationShape& shape, const Words& x) {
  const ot::WordGroups kept = shape.kept();
  const Words words = co_await ot::truncate(party, shape, x);
  Words result = co_await ot::extend(party, kept, shape.ring, words, true);
  co_return result;
}

Step truncation_step(unsigned ring, unsigned kept) {
  const ot::TruncationShape shape = truncation_shape(ring, kept);
  const unsigned shift = ring - kept;
  Step step;
  ot::truncate(step.cost, shape);
  ot::extend(step.cost, shape.kept(), ring);
  step.ring = step.result_ring = ring;
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  step.low = -(std::int64_t{1} << (ring - 2)) - half;
  step.high = (std::int64_t{1} << (ring - 2)) - half;
  step.run = [shape](TransferParty& party, const Words& x, const Words&, const Words&) {
    return run_truncation(party, shape, x);
  };
  step.right = [ring, shift, half](std::int64_t x, std::int64_t, std::uint32_t result) {
    return result == (static_cast<std::uint32_t>((x + half) >> shift) & ot::low_bits(ring));
  };
  return step;
}

Step maximum_step(unsigned ring) {
  const ot::ValueShape shape{{{kStepValues, ring}}, 0};
  Step step;
  ot::maximum(step.cost, shape);
  step.ring = step.result_ring = ring;
  step.low = -(std::int64_t{1} << (ring - 2));
  step.high = std::int64_t{1} << (ring - 2);
  step.two_operands = true;
  step.run = [shape](TransferParty& party, const Words& x, const Words& y, const Words&) {
    return ot::maximum(party, shape, x, y);
  };
  step.right = [ring](std::int64_t x, std::int64_t y, std::uint32_t result) {
    return result == (static_cast<std::uint32_t>(std::max(x, y)) & ot::low_bits(ring));
  };
  return step;
}

StepInputs::Operand operand(const Step& step, const std::array<Words, 2>& lowest) {
  StepInputs::Operand result;
  const auto range = static_cast<std::uint64_t>(step.high - step.low);
  for (std::size_t i = 0; i < kStepValues; ++i) {
    const std::int64_t x = step.low + static_cast<std::int64_t>(system_rng().below(range));
    const std::uint32_t carry = lowest[0].empty() ? 0 : lowest[0][i] | lowest[1][i];
    const std::uint32_t share = random_word() & ot::low_bits(step.ring);
    result.values.push_back(x);
    result.shares[0].push_back(share);
    result.shares[1].push_back((static_cast<std::uint32_t>(x) - share - carry) & ot::low_bits(step.ring));
  }
  return result;
}

}  // namespace

Step step_named(std::string_view op, unsigned ring, unsigned kept) {
  if (op == "relu") return relu_step(ring, kept, false);
  if (op == "relu_exact") return relu_step(ring, kept, true);
  if (op == "truncation") return truncation_step(ring, kept);
  return maximum_step(kept);
}

StepInputs random_inputs(const Step& step) {
  StepInputs inputs;
  if (step.neighbour) {
    for (Words& bits : inputs.lowest) {
      for (std::size_t i = 0; i < kStepValues; ++i) bits.push_back(random_word() & 1U);
    }
  }
  inputs.x = operand(step, inputs.lowest);
  if (step.two_operands) inputs.y = operand(step, {});
  return inputs;
}

Dialogue<Words> run_on_shares(const Step& step, TransferParty& party, const StepInputs& inputs) {
  const std::size_t me = party.first ? 0 : 1;
  return step.run(party, inputs.x.shares[me], inputs.y.shares[me], inputs.lowest[me]);
}

std::size_t wrong_results(const Step& step, const StepInputs& inputs, const std::array<Words, 2>& results) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kStepValues; ++i) {
    const std::uint32_t result = (results[0][i] + results[1][i]) & ot::low_bits(step.result_ring);
    wrong += step.right(inputs.x.values[i], step.two_operands ? inputs.y.values[i] : 0, result) ? 0 : 1;
  }
  return wrong;
}

}  // namespace popcorn::cli
