// Widths of a network's values: from declared rings and static bounds to the rings that steps need.
#include <algorithm>

#include "base/error.h"
#include "models/network/arg_max.h"
#include "models/network/rounding.h"
#include "models/network/shape_inference.h"
#include "models/network/value_range.h"
#include "protocols/shares/layer/mirror.h"
#include "protocols/shares/plan/share_plan.h"

namespace popcorn::protocols::shares {

namespace {

using models::IntegerNetwork;
using models::Node;
using models::NodeKind;

/// Closed interval of a channel's values.
struct Interval {
  std::int64_t low, high;
};

/// Whether the step of `node`, with t digits dropped behind it, is right in a ring of w bits for the values
/// of a channel, in either rounding.
bool fits(const Node& node, Interval x, unsigned t, unsigned w, bool non_negative) {
  if (t + 2 > w) return false;
  const std::int64_t half = std::int64_t{1} << (w - 1);
  const std::int64_t added = t == 0 ? 0 : std::int64_t{1} << t;
  if (x.low < -half || x.high >= half - added) return false;
  if (node.kind == NodeKind::max_pool2d) {
    const std::int64_t largest = models::drop_digits(x.high, t, models::low_digits(t));
    if (largest - (x.low >> t) >= half >> t) return false;
  }
  const bool may_be_negative =
      (node.kind == NodeKind::rescale && !node.rectify) || node.kind == NodeKind::max_pool2d;
  if (!may_be_negative || non_negative) return true;
  return x.low >= -half / 2 && x.high < half / 2 - added;
}

unsigned step_ring(const IntegerNetwork& network, std::size_t index, bool non_negative) {
  const Node& node = network.nodes[index];
  const models::Bounds& bounds = network.nodes[node.inputs.front()].bounds;
  const unsigned declared = models::ring_of(network, node.inputs.front());
  unsigned ring = 2;
  for (std::size_t c = 0; c < bounds.low.size(); ++c) {
    const unsigned t = models::dropped_digits(network, index, c);
    const unsigned most = declared != 0 ? std::max(declared, t + 2) : kMostShareBits + 1;
    const bool known = bounds.low.fits_int64(c) && bounds.high.fits_int64(c) && bounds.bits < 62;
    const Interval x = known ? Interval{bounds.low.to_int64(c), bounds.high.to_int64(c)}
                             : Interval{INT64_MIN / 4, INT64_MAX / 4};
    while (ring < most && !fits(node, x, t, ring, non_negative)) ++ring;
  }
  if (ring <= kMostShareBits) return ring;
  throw InputError("shares.ring",
                   models::describe(node) + ": what it reads has no ring, and values of up to " +
                       std::to_string(bounds.bits) + " bits, more than the " +
                       std::to_string(kMostShareBits) +
                       " that shares are computed in; requantise the network (popcorn compress "
                       "--activation-bits)");
}

/// Whether k digits hold the values of a channel behind the shift t: of `spare` + 1 signs.
bool keeps(Interval x, unsigned t, unsigned k, unsigned spare) {
  const std::int64_t end = std::int64_t{1} << (k - 1 - spare);
  return x.low >> t >= -end && models::drop_digits(x.high, t, models::low_digits(t)) < end;
}

bool pools(const IntegerNetwork& network, std::size_t index) {
  if (network.nodes[network.nodes[index].inputs.front()].kind == NodeKind::max_pool2d) return true;
  return std::ranges::any_of(network.nodes, [&](const Node& reader) {
    return reader.kind == NodeKind::max_pool2d && reader.inputs.front() == index;
  });
}

/// ShareNode::kept of a rescale. A pool needs the differences of its operands, a signed result one bit more
/// to be extended.
unsigned kept_digits(const IntegerNetwork& network, std::size_t index, bool non_negative) {
  const Node& node = network.nodes[index];
  const bool is_signed = !node.rectify && !non_negative;
  const unsigned spare = is_signed || pools(network, index) ? 1 : 0;
  if (node.ring_bits != 0) return std::min(node.ring_bits + spare, kMostShareBits);
  const models::Bounds& bounds = network.nodes[node.inputs.front()].bounds;
  unsigned kept = 2;
  for (std::size_t c = 0; c < bounds.low.size(); ++c) {
    const bool known = bounds.low.fits_int64(c) && bounds.high.fits_int64(c) && bounds.bits < 62;
    if (!known) return kMostShareBits;
    const Interval x{bounds.low.to_int64(c), bounds.high.to_int64(c)};
    const auto t = static_cast<unsigned>(node.shift(c));
    while (kept < kMostShareBits && !keeps(x, t, kept, spare)) ++kept;
  }
  return kept;
}

bool non_negative(const IntegerNetwork& network, const ShareNetwork& known, const Node& node) {
  switch (node.kind) {
    case NodeKind::input:
      return network.encoding.low >= 0;
    case NodeKind::relu:
      return true;
    case NodeKind::rescale:
      if (node.rectify) return true;
      break;
    case NodeKind::dense:
    case NodeKind::conv2d:
    case NodeKind::sign:
      return false;
    default:
      break;
  }
  return std::ranges::all_of(node.inputs, [&](std::size_t i) { return known.nodes[i].non_negative; });
}

}  // namespace

ShareNetwork share_network(const IntegerNetwork& network) {
  ShareNetwork result;
  result.label = network.answer == models::Answer::label;
  const std::size_t logits = models::logits_node(network);
  const std::size_t before_output = result.label ? logits + 1 : network.nodes.size() - 1;
  for (std::size_t i = 0; i < before_output; ++i) {
    const Node& node = network.nodes[i];
    ShareNode facts{.kind = node.kind,
                    .name = node.name,
                    .inputs = node.inputs,
                    .shape = node.shape,
                    .window = node.window,
                    .multipliers = node.multipliers,
                    .shifts = node.shifts,
                    .rectify = node.rectify};
    facts.non_negative = non_negative(network, result, node);
    facts.mirrors = mirrors(node);
    const unsigned declared = models::ring_of(network, i);
    facts.ring = node.bounds.bits + 1;
    if (declared != 0) facts.ring = std::min(facts.ring, declared);
    const bool steps = node.kind == NodeKind::rescale || node.kind == NodeKind::relu ||
                       node.kind == NodeKind::sign || node.kind == NodeKind::max_pool2d;
    const bool positive = !node.inputs.empty() && result.nodes[node.inputs.front()].non_negative;
    if (steps) facts.step_ring = step_ring(network, i, positive);
    if (node.kind == NodeKind::rescale) facts.kept = kept_digits(network, i, positive);
    result.nodes.push_back(std::move(facts));
  }
  const ShareNode& values = result.nodes[logits];
  ShareNode output;
  output.kind = NodeKind::output;
  output.name = network.output().name;
  output.inputs = {logits};
  output.shape = values.shape;
  output.ring = values.ring;
  output.non_negative = values.non_negative;
  result.nodes.push_back(std::move(output));
  return result;
}

}  // namespace popcorn::protocols::shares
