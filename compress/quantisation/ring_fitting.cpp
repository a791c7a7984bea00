#include "compress/quantisation/ring_fitting.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "models/evaluation/plaintext_evaluator.h"
#include "models/file/popcorn_format.h"
#include "models/network/graph_rewrites.h"

namespace popcorn::compress {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

/// So wide that hardly any value leaves them, so narrow that 32-bit integers hold every sum.
constexpr unsigned kTrialBits = 28, kTrialRescaleBits = 14;

bool wants_ring(NodeKind kind) {
  return models::takes_ring(kind);
}

/// A join of values that were rounded has the widest of their rings.
bool joins_rounded(const IntegerNetwork& network, const Node& node) {
  return node.kind == NodeKind::concat && std::ranges::none_of(node.inputs, [&](std::size_t operand) {
           return models::takes_weights(network.nodes[operand].kind) ||
                  network.nodes[operand].kind == NodeKind::add;
         });
}

bool passes_values_on(NodeKind kind) {
  return kind == NodeKind::flatten || kind == NodeKind::sum_pool2d || kind == NodeKind::concat;
}

/// Does a step on signed values read nodes[index], without another step between?
bool meets_signed_step(const IntegerNetwork& network, std::size_t index) {
  for (std::size_t i = index + 1; i < network.nodes.size(); ++i) {
    const Node& reader = network.nodes[i];
    if (std::ranges::find(reader.inputs, index) == reader.inputs.end()) continue;
    if (reader.kind == NodeKind::max_pool2d || (reader.kind == NodeKind::rescale && !reader.rectify))
      return true;
    if (passes_values_on(reader.kind) && meets_signed_step(network, i)) return true;
  }
  return false;
}

models::ValueExtremes extremes_of(const IntegerNetwork& network, const std::vector<std::int16_t>& inputs,
                                  std::size_t count, std::uint64_t& beyond) {
  models::ValueExtremes extremes(network);
  models::RangeCounts counts(network);
  models::EvaluationOptions options;
  options.extremes = &extremes;
  options.counts = &counts;
  models::FastEvaluator(network).run(inputs, count, options);
  beyond = counts.beyond();
  return extremes;
}

models::ValueExtremes measure(IntegerNetwork network, const std::vector<std::int16_t>& inputs,
                              std::size_t count) {
  std::uint64_t beyond = 0;
  for (Node& node : network.nodes) {
    if (wants_ring(node.kind))
      node.ring_bits = node.kind == NodeKind::rescale ? kTrialRescaleBits : kTrialBits;
  }
  network.finish();
  models::ValueExtremes extremes = extremes_of(network, inputs, count, beyond);
  if (beyond == 0) return extremes;
  for (Node& node : network.nodes) node.ring_bits = 0;
  network.finish();
  return extremes_of(network, inputs, count, beyond);
}

/// What a rescale's ring has to hold beside its own values: those of the pool in the same step. 0: none.
std::int64_t pooled_magnitude(const IntegerNetwork& network, const models::ValueExtremes& extremes,
                              std::size_t index) {
  const Node& node = network.nodes[index];
  if (node.kind != NodeKind::rescale) return 0;
  const std::size_t operand = node.inputs.front();
  return network.nodes[operand].kind == NodeKind::max_pool2d ? extremes.largest_operand(operand) : 0;
}

}  // namespace

void fit_rings(IntegerNetwork& network, const std::vector<std::int16_t>& inputs, std::size_t count,
               double margin) {
  if (count == 0) throw UsageError("requantise.inputs", "no inputs to calibrate on");
  const models::ValueExtremes extremes = measure(network, inputs, count);
  for (Node& node : network.nodes) node.ring_bits = 0;
  network.finish();
  for (std::size_t i = 1; i < network.nodes.size(); ++i) {
    Node& node = network.nodes[i];
    if (!wants_ring(node.kind) || joins_rounded(network, node)) continue;
    const unsigned beside = 1 + (meets_signed_step(network, i) ? 1 : 0);
    const std::int64_t reached =
        std::max(extremes.largest_magnitude(i), pooled_magnitude(network, extremes, i));
    const double largest = std::ceil(margin * static_cast<double>(reached));
    const auto bits = static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(largest)));
    const unsigned ring = std::max(2U, bits + beside);
    if (ring >= node.bounds.bits + beside) continue;  // the static bound costs no more
    node.ring_bits = ring;
    network.finish();
  }
}

void place_pools(IntegerNetwork& network, const std::vector<std::int16_t>& inputs, std::size_t count,
                 const std::function<std::uint64_t(const IntegerNetwork&)>& bytes) {
  fit_rings(network, inputs, count);
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    IntegerNetwork moved = network;
    if (!models::move_max_pool_before_rescale(moved, i)) continue;
    fit_rings(moved, inputs, count);
    if (bytes(moved) < bytes(network)) network = std::move(moved);
  }
}

}  // namespace popcorn::compress
