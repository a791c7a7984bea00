#include "cli/fast_rounding_check.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/arg_max.h"
#include "models/network/rounding.h"
#include "protocols/shares/plan/share_plan.h"
#include "protocols/shares/share_dry_run.h"

namespace popcorn::cli {

namespace {

using protocols::shares::Carry;
using protocols::shares::ShareStep;

std::vector<std::int64_t> numbers(const WideVector& values) {
  std::vector<std::int64_t> result(values.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = values.to_int64(i);
  return result;
}

/// By node, how many carries the plan takes for 1 that may be 0.
std::vector<unsigned> missing_carries(const models::IntegerNetwork& network) {
  const protocols::shares::SharePlan plan =
      plan_shares(protocols::shares::share_network(network),
                  protocols::shares::share_options(protocols::shares::ShareRounding::fast));
  std::vector<unsigned> carries(network.nodes.size());
  for (const ShareStep& step : plan.steps) {
    if (step.carry != Carry::dropped) continue;
    const std::size_t operands =
        step.kind == ShareStep::Kind::combine ? network.nodes[step.node].inputs.size() : 1;
    carries[step.node] = static_cast<unsigned>(operands);
  }
  return carries;
}

}  // namespace

double RoundingErrors::standard_errors() const noexcept {
  return variance == 0 ? 0 : sum / std::sqrt(variance);
}

FastRoundingCheck::FastRoundingCheck(const models::IntegerNetwork& network)
    : network_(network), missing_carries_(missing_carries(network)), last_(models::logits_node(network)) {}

void FastRoundingCheck::begin(const WideVector& input) {
  shown_.assign(network_.nodes.size(), {});
  shown_[0] = numbers(input);
}

void FastRoundingCheck::show(std::size_t node, const WideVector& values) {
  shown_.at(node) = numbers(values);
}

FastRoundingCheck::Range FastRoundingCheck::truncated(const models::Node& node, Range range) const {
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
  const std::int64_t least = node.rectify ? 0 : INT64_MIN;
  for (std::size_t i = 0; i < range.low.size(); ++i) {
    const auto t = static_cast<unsigned>(node.shift(i / plane));
    range.low[i] = std::max(least, models::drop_digits(range.low[i], t, 0));
    range.high[i] = std::max(least, models::drop_digits(range.high[i], t, models::low_digits(t)));
  }
  return range;
}

/// What a node can be after what its operands are. All that is no rescale grows with its operands, but for
/// weights, whose operands were shown.
FastRoundingCheck::Range FastRoundingCheck::possible(std::size_t index) const {
  const models::Node& node = network_.nodes[index];
  if (node.kind == models::NodeKind::rescale) return truncated(node, ranges_[node.inputs.front()]);
  const auto evaluated = [&](std::vector<std::int64_t> Range::*end) {
    std::vector<WideVector> operands;
    std::vector<const WideVector*> views;
    for (const std::size_t operand : node.inputs)
      operands.push_back(WideVector::from_int64(ranges_[operand].*end));
    for (const WideVector& operand : operands) views.push_back(&operand);
    return numbers(models::evaluate_node(network_, index, views));
  };
  Range range{evaluated(&Range::low), {}};
  const bool certain = std::ranges::all_of(
      node.inputs, [&](std::size_t operand) { return ranges_[operand].low == ranges_[operand].high; });
  if (!certain && !node.weights.empty()) {
    throw CheckError("verify.unseen", "node " + node.name + " reads what was not seen");
  }
  range.high = certain ? range.low : evaluated(&Range::high);
  for (std::int64_t& value : range.high) value += missing_carries_[index];
  return range;
}

std::size_t FastRoundingCheck::compare(const std::string& input_name, std::size_t index,
                                       const Range& range) const {
  const std::vector<std::int64_t>& values = shown_[index];
  const std::string where = input_name + ", node " + network_.nodes[index].name;
  if (values.size() != range.low.size()) {
    throw CheckError("verify.mismatch", where + ": " + std::to_string(values.size()) + " values on shares, " +
                                            std::to_string(range.low.size()) + " in plaintext");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= range.low[i] && values[i] <= range.high[i]) continue;
    throw CheckError("verify.mismatch", where + ", element " + std::to_string(i) + ": " +
                                            std::to_string(values[i]) + " on shares, " +
                                            std::to_string(range.low[i]) + " to " +
                                            std::to_string(range.high[i]) + " is possible");
  }
  return values.size();
}

/// Of a truncation whose operand was seen, where nothing is cut off at 0.
void FastRoundingCheck::add_errors(std::size_t index) {
  const models::Node& node = network_.nodes[index];
  const std::vector<std::int64_t>& operand = shown_[node.inputs.front()];
  const std::vector<std::int64_t>& result = shown_[index];
  if (node.kind != models::NodeKind::rescale || operand.size() != result.size()) return;
  const auto plane = static_cast<std::size_t>(node.shape.height * node.shape.width);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto t = static_cast<unsigned>(node.shift(i / plane));
    const std::int64_t lost = operand[i] & models::low_digits(t);
    if (lost == 0 || (node.rectify && operand[i] <= models::low_digits(t))) continue;
    const double fraction = std::ldexp(static_cast<double>(lost), -static_cast<int>(t));
    errors_.sum += static_cast<double>(result[i] - (operand[i] >> t)) - fraction;
    errors_.variance += fraction * (1 - fraction);
    ++errors_.values;
  }
}

std::size_t FastRoundingCheck::check(const std::string& input_name, const WideVector& output) {
  std::size_t compared = 0;
  ranges_.assign(network_.nodes.size(), {});
  for (std::size_t i = 0; i <= last_; ++i) {
    const models::Node& node = network_.nodes[i];
    const bool seen = !shown_[i].empty();
    if (i > 0) ranges_[i] = possible(i);
    if (!seen && !node.weights.empty()) {
      throw CheckError("verify.unseen", "node " + node.name + " was not evaluated on shares");
    }
    if (!seen) continue;
    if (i > 0) compared += compare(input_name, i, ranges_[i]);
    ranges_[i] = {shown_[i], shown_[i]};
    add_errors(i);
  }
  // From here on nothing rounds: the logits, or which of them is largest.
  for (std::size_t i = last_ + 1; i < network_.nodes.size(); ++i) ranges_[i] = possible(i);
  shown_.back() = numbers(output);
  return compared + compare(input_name, network_.nodes.size() - 1, ranges_.back());
}

}  // namespace popcorn::cli
