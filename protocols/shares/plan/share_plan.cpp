#include "protocols/shares/plan/share_plan.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "protocols/shares/plan/share_plan_groups.h"

namespace popcorn::protocols::shares {

namespace {

using models::NodeKind;

bool is_step(NodeKind kind) {
  return kind == NodeKind::rescale || kind == NodeKind::relu || kind == NodeKind::sign ||
         kind == NodeKind::max_pool2d;
}

/// Values of an arg-max that meet at once: what one table's conjunction allows.
constexpr unsigned kMostCompared = kMostConjoined + 1;

class Planner {
 public:
  Planner(ShareNetwork network, const ShareOptions& options) : options_(options) {
    plan_.network = std::move(network);
    options_.label_only = options_.label_only || plan_.network.label;
    plan_.options = options_;
    const std::size_t count = plan_.network.nodes.size();
    readers_.resize(count);
    partner_.resize(count);
    plan_.held.assign(count, 0);
    plan_.chosen.assign(count, false);
    plan_.last_use.assign(count, 0);
    carry_.assign(count, Carry::none);
  }

  SharePlan plan() {
    for (std::size_t i = 0; i < nodes().size(); ++i) {
      for (const std::size_t operand : nodes()[i].inputs) readers_[operand].push_back(i);
    }
    fuse_pools();
    widths();
    for (std::size_t i = 0; i < nodes().size(); ++i) add_steps(i);
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) note_uses(s);
    return std::move(plan_);
  }

 private:
  const std::vector<ShareNode>& nodes() const { return plan_.network.nodes; }
  const ShareNode& node(std::size_t i) const { return plan_.network.nodes[i]; }
  bool fast() const { return options_.rounding == ShareRounding::fast; }

  /// A pool and the step before or behind it that nothing else reads are one.
  void fuse_pools() {
    for (std::size_t i = 0; i < nodes().size(); ++i) {
      if (!is_step(node(i).kind)) continue;
      const std::size_t operand = node(i).inputs.front();
      const bool one_pools =
          (node(i).kind == NodeKind::max_pool2d) != (node(operand).kind == NodeKind::max_pool2d);
      if (!is_step(node(operand).kind) || !one_pools || readers_[operand].size() != 1 || partner_[operand])
        continue;
      partner_[i] = operand;
      absorbed_.push_back(operand);
    }
  }
  bool absorbed(std::size_t i) const { return std::ranges::find(absorbed_, i) != absorbed_.end(); }

  /// The operand that a step starts from.
  std::size_t start(std::size_t i) const { return node(partner_[i].value_or(i)).inputs.front(); }

  unsigned step_ring(std::size_t i) const {
    if (!partner_[i]) return node(i).step_ring;
    const ShareNode& first = node(*partner_[i]);
    const bool pool_first = first.kind == NodeKind::max_pool2d;
    if (node(i).kind == NodeKind::sign) return node(i).step_ring;
    return pool_first ? std::max(first.step_ring, node(i).step_ring) : first.step_ring;
  }

  void want(std::size_t tensor, unsigned ring) {
    ring = std::max(ring, 2U);
    if (ring > kMostShareBits) {
      throw InputError("shares.ring", "node '" + node(tensor).name + "' (" +
                                          std::string(models::to_string(node(tensor).kind)) +
                                          "): its values would be shared in " + std::to_string(ring) +
                                          " bits, at most " + std::to_string(kMostShareBits) +
                                          "; requantise the network (popcorn compress --activation-bits)");
    }
    plan_.held[tensor] = std::max(plan_.held[tensor], ring);
  }

  /// From the output back: the ring of every tensor, from what reads it.
  void widths() {
    for (std::size_t i = nodes().size(); i-- > 1;) {
      const ShareNode& reader = node(i);
      if (absorbed(i)) continue;
      if (reader.kind == NodeKind::output) {
        const std::size_t operand = reader.inputs.front();
        want(operand, reader.ring + (options_.label_only ? 1 : 0));
        plan_.held[i] = plan_.held[operand];
      } else if (is_step(reader.kind)) {
        want(start(i), step_ring(i));
      } else {
        for (std::size_t k = 0; k < reader.inputs.size(); ++k)
          want(reader.inputs[k], plan_.held[i] - std::min(spare(reader, k), plan_.held[i]));
      }
      if (reader.weighted()) plan_.chosen[reader.inputs.front()] = true;
    }
  }

  /// Powers of two in an operand's multiplier: bits that it need not have.
  static unsigned spare(const ShareNode& reader, std::size_t k) {
    if (reader.kind != NodeKind::add && reader.kind != NodeKind::concat) return 0;
    return static_cast<unsigned>(std::countr_zero(static_cast<std::uint64_t>(reader.multipliers[k])));
  }

  bool drops_digits(std::size_t i) const {
    const ShareNode& reader =
        partner_[i] && node(i).kind == NodeKind::max_pool2d ? node(*partner_[i]) : node(i);
    return reader.kind == NodeKind::rescale &&
           std::ranges::all_of(reader.shifts, [](auto t) { return t > 0; });
  }

  /// Whether everything that the tensor gets to drops digits, before anything multiplies or shows it.
  bool droppable(std::size_t tensor) const {
    return std::ranges::all_of(readers_[tensor], [&](std::size_t reader) {
      const std::size_t step = last_of_pair(reader);
      switch (node(reader).kind) {
        case NodeKind::add:
        case NodeKind::concat:
        case NodeKind::flatten:
        case NodeKind::sum_pool2d:
          return droppable(reader);
        default:
          return is_step(node(reader).kind) && drops_digits(step);
      }
    });
  }
  std::size_t last_of_pair(std::size_t i) const { return absorbed(i) ? readers_[i].front() : i; }

  /// The operand of a sum whose carry may be the sum's: a layer's, taken once.
  std::optional<std::size_t> carries_over(const ShareNode& sum) const {
    std::optional<std::size_t> found;
    for (std::size_t k = 0; k < sum.inputs.size(); ++k) {
      const bool once = std::ranges::count(sum.inputs, sum.inputs[k]) == 1 && sum.multipliers[k] == 1;
      if (once && node(sum.inputs[k]).weighted()) found = std::max(found.value_or(0), sum.inputs[k]);
    }
    return found;
  }

  bool takes_pending(std::size_t reader, std::size_t tensor) const {
    const ShareNode& facts = node(reader);
    const std::size_t step = last_of_pair(reader);
    switch (facts.kind) {
      case NodeKind::flatten:
        return true;
      case NodeKind::concat:
        return std::ranges::all_of(facts.multipliers, [](std::int64_t m) { return m == 1; });
      case NodeKind::add:
        return carries_over(facts) == tensor;
      case NodeKind::sign:
      case NodeKind::relu:
      case NodeKind::max_pool2d:
        return !fast() || !truncates(step);
      case NodeKind::rescale:
        return !fast();
      default:
        return false;
    }
  }
  /// In the sense of fast rounding: with digits dropped.
  bool truncates(std::size_t step) const {
    const ShareNode& last = node(step);
    const ShareNode& first = node(partner_[step].value_or(step));
    return last.kind == NodeKind::rescale || first.kind == NodeKind::rescale;
  }

  /// What the tensor's carry becomes, given that it has one.
  Carry carry_of(std::size_t tensor) const {
    if (fast() && droppable(tensor)) return Carry::dropped;
    const bool all = std::ranges::all_of(readers_[tensor],
                                         [&](std::size_t reader) { return takes_pending(reader, tensor); });
    return all ? Carry::pending : Carry::none;
  }

  ShareStep& step(ShareStep::Kind kind, std::size_t i) {
    ShareStep made;
    made.kind = kind;
    made.node = i;
    made.ring = plan_.held[i];
    plan_.steps.push_back(std::move(made));
    return plan_.steps.back();
  }

  void add_steps(std::size_t i) {
    const ShareNode& facts = node(i);
    if (absorbed(i)) return;
    bool missing = false;  // a carry
    if (facts.weighted()) {
      step(ShareStep::Kind::weighted, i);
      missing = true;
    } else if (is_step(facts.kind)) {
      interactive(i);
    } else if (facts.kind == NodeKind::output) {
      output(i);
    } else if (facts.kind != NodeKind::input) {
      step(ShareStep::Kind::combine, i);
      missing = std::ranges::any_of(facts.inputs, [&](std::size_t k) { return carry_[k] == Carry::pending; });
    }
    if (missing) {
      carry_[i] = carry_of(i);
      plan_.steps.back().carry = carry_[i] == Carry::none ? Carry::pending : carry_[i];
      if (carry_[i] == Carry::none) step(ShareStep::Kind::settle, i);
    }
    if (plan_.chosen[i]) step(ShareStep::Kind::re_share, i);
  }

  unsigned digit_bits() const { return options_.few_flights ? 3 : 0; }

  void interactive(std::size_t i) {
    const std::size_t first = partner_[i].value_or(i);
    const ShareNode& before = node(first);
    const ShareNode& last = node(i);
    ShareStep& made = step(ShareStep::Kind::interactive, i);
    InteractiveStep& pieces = made.interactive;
    pieces.operand = start(i);
    pieces.ring = step_ring(i);
    pieces.neighbour = carry_[pieces.operand] == Carry::pending;
    pieces.pools = before.kind == NodeKind::max_pool2d || last.kind == NodeKind::max_pool2d;
    pieces.pool_first = pieces.pools && before.kind == NodeKind::max_pool2d && first != i;
    const ShareNode& function = before.kind == NodeKind::max_pool2d ? last : before;
    pieces.sign = function.kind == NodeKind::sign;
    pieces.rectifies =
        function.kind == NodeKind::relu || (function.kind == NodeKind::rescale && function.rectify);
    pieces.is_signed = !pieces.rectifies && !node(pieces.operand).non_negative;
    pieces.digit_bits = digit_bits();
    pool(pieces, before.kind == NodeKind::max_pool2d ? before : last, i);
    chunks(pieces, function);
  }

  void pool(InteractiveStep& pieces, const ShareNode& pool, std::size_t i) const {
    const models::Shape& input = node(pieces.operand).shape;
    const models::Shape& output = node(i).shape;
    pieces.plane = static_cast<std::size_t>(input.height * input.width);
    pieces.result_plane = static_cast<std::size_t>(output.height * output.width);
    if (!pieces.pools) return;
    if (pieces.sign) {
      pieces.disjunctions = plan_disjunctions(pool.window, input, output);
    } else {
      pieces.maxima = plan_maxima(pool.window, input, output);
    }
  }

  void chunks(InteractiveStep& pieces, const ShareNode& function) const {
    const auto channels = static_cast<std::size_t>(node(pieces.operand).shape.channels);
    const std::size_t at_once = std::max<std::size_t>(1, options_.chunk_values / pieces.plane);
    const auto shift = [&](std::size_t channel) {
      if (function.kind != NodeKind::rescale) return 0U;
      return static_cast<unsigned>(function.shifts[function.shifts.size() == 1 ? 0 : channel]);
    };
    for (std::size_t begin = 0; begin < channels; begin += at_once) {
      StepChunk chunk;
      chunk.channels.resize(std::min(at_once, channels - begin));
      std::iota(chunk.channels.begin(), chunk.channels.end(), static_cast<std::uint32_t>(begin));
      std::ranges::stable_sort(chunk.channels, {}, shift);
      chunk.shape.ring = pieces.ring;
      chunk.shape.neighbour = pieces.neighbour;
      chunk.shape.most_kept = function.kept;
      for (const std::uint32_t channel : chunk.channels) {
        if (chunk.shape.groups.empty() || chunk.shape.groups.back().shift != shift(channel))
          chunk.shape.groups.push_back({0, shift(channel)});
        chunk.shape.groups.back().count += pieces.plane;
      }
      chunk.shape.nearest = !fast() || chunk.shape.groups.back().shift == 0;
      chunk.shape.digit_bits = pieces.digit_bits;
      pieces.chunks.push_back(std::move(chunk));
    }
  }

  void output(std::size_t i) {
    const std::size_t operand = node(i).inputs.front();
    if (!options_.label_only) {
      step(ShareStep::Kind::logits, operand);
      return;
    }
    const std::size_t classes = node(operand).size();
    const unsigned bits = plan_.held[operand] + key_bits(classes);
    if (bits > kMostShareBits || classes < 2) {
      throw InputError("shares.label", "node '" + node(operand).name + "': the largest of " +
                                           std::to_string(classes) + " values of " +
                                           std::to_string(plan_.held[operand]) +
                                           " bits cannot be found in the " + std::to_string(kMostShareBits) +
                                           " bits that shares are computed in; ask for logits");
    }
    ShareStep& made = step(ShareStep::Kind::label, operand);
    made.interactive.ring = bits;
    made.interactive.digit_bits = digit_bits();
    std::size_t count = classes;
    for (const unsigned size : group_sizes(classes, kMostCompared)) {
      made.arg_max.push_back({size, count});
      count = made.arg_max.back().groups();
    }
  }

  void note_uses(std::size_t s) {
    const ShareStep& made = plan_.steps[s];
    plan_.last_use[made.node] = s;
    if (made.kind == ShareStep::Kind::interactive) plan_.last_use[made.interactive.operand] = s;
    if (made.kind != ShareStep::Kind::weighted && made.kind != ShareStep::Kind::combine) return;
    for (const std::size_t operand : node(made.node).inputs) plan_.last_use[operand] = s;
  }

  ShareOptions options_;
  SharePlan plan_;
  std::vector<std::vector<std::size_t>> readers_;
  std::vector<std::optional<std::size_t>> partner_;  ///< what a step has taken in
  std::vector<std::size_t> absorbed_;
  std::vector<Carry> carry_;
};

}  // namespace

unsigned key_bits(std::size_t classes) {
  return static_cast<unsigned>(std::bit_width(classes - 1));
}

SharePlan plan_shares(ShareNetwork network, const ShareOptions& options) {
  return Planner(std::move(network), options).plan();
}

}  // namespace popcorn::protocols::shares
