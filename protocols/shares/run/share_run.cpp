#include "protocols/shares/run/share_run.h"

#include <algorithm>

#include "base/error.h"
#include "base/secret_bytes.h"
#include "models/network/arg_max.h"
#include "models/network/rounding.h"
#include "models/network/sliding_window.h"
#include "protocols/ot/bits/bit_planes.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/run/share_run_step.h"

namespace popcorn::protocols::shares {

namespace {

using models::NodeKind;
using ot::low_bits;

/// What both parties do alike; what differs is asked of the one or the other part.
class Run {
 public:
  Run(TransferParty& party, const SharePlan& plan, const ServerPart* server, const ClientPart* client,
      ShareAnswer* answer)
      : party_(party),
        plan_(plan),
        server_(server),
        client_(client),
        answer_(answer),
        reserves_(plan_reserves(plan)),
        tensors_(plan.network.nodes.size()) {}

  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    for (ShareTensor& tensor : tensors_) forget(tensor);
  }

  Dialogue<void> whole() {
    party_.first_asks = true;
    set_input();
    for (step_ = 0; step_ < plan_.steps.size(); ++step_) {
      co_await one(plan_.steps[step_]);
      finish_step(plan_.steps[step_]);
    }
  }

 private:
  const ShareNode& node(std::size_t i) const { return plan_.network.nodes[i]; }

  void set_input() {
    tensors_[0].words = client_ != nullptr ? client_->input : Words(node(0).size());
    check_size(0, tensors_[0].words.size(), "the input");
    observe(0);
  }

  void check_size(std::size_t i, std::size_t size, const char* what) const {
    if (size == node(i).size()) return;
    throw InputError("shares.preparation", "node '" + node(i).name + "': " + what + " has " +
                                               std::to_string(size) + " values, the plan wants " +
                                               std::to_string(node(i).size()));
  }

  Dialogue<void> one(const ShareStep& step) {
    switch (step.kind) {
      case ShareStep::Kind::weighted:
        weighted(step);
        break;
      case ShareStep::Kind::combine:
        combine(step);
        break;
      case ShareStep::Kind::settle:
        co_await settle(step);
        break;
      case ShareStep::Kind::interactive:
        co_await interactive(step);
        break;
      case ShareStep::Kind::re_share:
        co_await re_share(step);
        break;
      case ShareStep::Kind::logits:
        co_await logits(step);
        break;
      case ShareStep::Kind::label:
        co_await label(step);
        break;
    }
  }

  /// Tells of a complete tensor, forgets those that nothing reads any more.
  void finish_step(const ShareStep& step) {
    const bool settled_next = step_ + 1 < plan_.steps.size() &&
                              plan_.steps[step_ + 1].kind == ShareStep::Kind::settle &&
                              plan_.steps[step_ + 1].node == step.node;
    const bool makes = step.kind != ShareStep::Kind::re_share && step.kind != ShareStep::Kind::logits &&
                       step.kind != ShareStep::Kind::label;
    if (makes && !settled_next) observe(step.node);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (plan_.last_use[i] == step_) forget(tensors_[i]);
    }
  }

  static void forget(ShareTensor& tensor) {
    wipe_and_clear(tensor.words);
    wipe_and_clear(tensor.lowest);
    tensor = ShareTensor{};
  }

  void observe(std::size_t i) const {
    const ShareObserver& observer = server_ != nullptr ? server_->observer : client_->observer;
    if (observer) observer(i, plan_.held[i], tensors_[i]);
  }

  Dialogue<void> reserve_next() {
    const TransferNeed need = reserves_.at(piece_++);
    if (need.from_server + need.from_client > 0)
      co_await ot::reserve(party_, need.from_server, need.from_client);
  }

  void weighted(const ShareStep& step) {
    MaskedResult masked = server_ != nullptr ? server_->prepared(step.node) : client_->prepared(step.node);
    check_size(step.node, masked.words.size(), "the preparation's result");
    ShareTensor& made = tensors_[step.node];
    made.words = std::move(masked.words);
    if (server_ != nullptr) {
      const Words sums = server_->layers(step.node, tensors_[node(step.node).inputs.front()].words);
      for (std::size_t j = 0; j < sums.size(); ++j) made.words[j] += sums[j];
    }
    if (step.carry == Carry::pending) {
      check_size(step.node, masked.lowest.size(), "the preparation's carry");
      made.lowest = std::move(masked.lowest);
    } else {
      take_carry_for_one(made.words, 0, made.words.size());
    }
    reduce(made.words, step.ring);
  }

  void take_carry_for_one(Words& words, std::size_t first, std::size_t end) const {
    if (server_ == nullptr) return;
    for (std::size_t j = first; j < end; ++j) ++words[j];
  }

  static void reduce(Words& words, unsigned ring) {
    for (std::uint32_t& word : words) word &= low_bits(ring);
  }

  void combine(const ShareStep& step) {
    ShareTensor made;
    made.words.resize(node(step.node).size());
    if (step.carry == Carry::pending) made.lowest.resize(made.words.size());
    const ShareNode& facts = node(step.node);
    if (facts.mirrors) {
      made.words = mirrored(step.node);
    } else if (facts.kind == NodeKind::sum_pool2d) {
      sum_pool(facts, made.words);
    } else {
      std::size_t place = 0;
      for (std::size_t k = 0; k < facts.inputs.size(); ++k) {
        const bool beside = facts.kind == NodeKind::concat;
        add_operand(facts, k, beside ? place : 0, step.carry, made);
        place += node(facts.inputs[k]).size();
      }
    }
    reduce(made.words, step.ring);
    tensors_[step.node] = std::move(made);
  }

  /// The shares of b − x, see layer/mirror.h.
  Words mirrored(std::size_t i) const {
    const Words& operand = tensors_[node(i).inputs.front()].words;
    if (server_ != nullptr) return server_->layers(i, operand);
    Words negated(operand.size());
    std::ranges::transform(operand, negated.begin(), [](std::uint32_t word) { return 0U - word; });
    return negated;
  }

  void add_operand(const ShareNode& facts, std::size_t k, std::size_t place, Carry carry, ShareTensor& made) {
    const ShareTensor& operand = tensors_[facts.inputs[k]];
    const auto factor =
        facts.kind == NodeKind::flatten ? 1U : static_cast<std::uint32_t>(facts.multipliers[k]);
    const std::size_t count = operand.words.size();
    for (std::size_t j = 0; j < count; ++j) made.words[place + j] += factor * operand.words[j];
    if (operand.lowest.empty()) return;
    if (carry == Carry::pending) {
      std::ranges::copy(operand.lowest, made.lowest.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      take_carry_for_one(made.words, place, place + count);
    }
  }

  void sum_pool(const ShareNode& facts, Words& sums) const {
    const ShareNode& operand = node(facts.inputs.front());
    const Words& from = tensors_[facts.inputs.front()].words;
    const models::Axis rows = models::vertical_axis(facts.window, operand.shape, facts.shape);
    const models::Axis columns = models::horizontal_axis(facts.window, operand.shape, facts.shape);
    std::size_t to = 0;
    for (std::int64_t channel = 0; channel < facts.shape.channels; ++channel) {
      for (std::int64_t row = 0; row < facts.shape.height; ++row) {
        const models::Range down = rows.taps_of_output(row);
        for (std::int64_t column = 0; column < facts.shape.width; ++column, ++to) {
          const models::Range across = columns.taps_of_output(column);
          for (std::int64_t i = down.begin; i < down.end; ++i) {
            const std::int64_t line =
                (channel * operand.shape.height + rows.input_at(row, i)) * operand.shape.width;
            for (std::int64_t j = across.begin; j < across.end; ++j)
              sums[to] += from[static_cast<std::size_t>(line + columns.input_at(column, j))];
          }
        }
      }
    }
  }

  Dialogue<void> settle(const ShareStep& step) {
    co_await reserve_next();
    ShareTensor& tensor = tensors_[step.node];
    const Words carry = co_await ot::carry_to_word(party_, tensor.lowest, step.ring);
    for (std::size_t j = 0; j < carry.size(); ++j)
      tensor.words[j] = (tensor.words[j] + carry[j]) & low_bits(step.ring);
    tensor.lowest.clear();
  }

  Dialogue<void> interactive(const ShareStep& step) {
    const InteractiveStep& pieces = step.interactive;
    const ShareTensor& operand = tensors_[pieces.operand];
    Words made(node(step.node).size());
    for (const StepChunk& chunk : pieces.chunks) {
      co_await reserve_next();
      const Words words = channels_of(operand.words, chunk, pieces.plane);
      const Words lowest = pieces.neighbour ? channels_of(operand.lowest, chunk, pieces.plane) : Words();
      const Words result = co_await run_chunk(party_, step, chunk, words, lowest);
      for (std::size_t c = 0; c < chunk.channels.size(); ++c)
        std::copy_n(result.data() + c * pieces.result_plane, pieces.result_plane,
                    made.data() + chunk.channels[c] * pieces.result_plane);
    }
    tensors_[step.node].words = std::move(made);
  }

  static Words channels_of(const Words& from, const StepChunk& chunk, std::size_t plane) {
    Words result(chunk.channels.size() * plane);
    for (std::size_t c = 0; c < chunk.channels.size(); ++c)
      std::copy_n(from.data() + chunk.channels[c] * plane, plane, result.data() + c * plane);
    return result;
  }

  Dialogue<void> re_share(const ShareStep& step) {
    Words& words = tensors_[step.node].words;
    Words chosen;
    if (client_ != nullptr) {
      chosen = client_->chosen(step.node);
      check_size(step.node, chosen.size(), "the chosen share");
    }
    words = co_await ot::re_share(party_, step.ring, words, &chosen);
  }

  Dialogue<void> logits(const ShareStep& step) {
    const Words& mine = tensors_[step.node].words;
    if (server_ != nullptr) {
      ot::put_planes(mine, 0, step.ring, party_.wire.out());
      co_return;
    }
    const ByteView message = co_await party_.wire.receive(step.ring * ot::plane_bytes(mine.size()));
    Words other(mine.size());
    ot::get_planes(message, 0, step.ring, other);
    for (std::size_t j = 0; j < mine.size(); ++j)
      answer_->logits.push_back(models::wrap_to_ring(std::int64_t{mine[j]} + other[j], step.ring));
  }

  Dialogue<void> label(const ShareStep& step) {
    co_await reserve_next();
    const Words& mine = tensors_[step.node].words;
    const unsigned bits = key_bits(mine.size());
    const Words largest = co_await run_arg_max(party_, step, mine);
    if (server_ != nullptr) {
      ot::put_planes(largest, 0, bits, party_.wire.out());
      co_return;
    }
    const ByteView message = co_await party_.wire.receive(bits * ot::plane_bytes(1));
    Words other(1);
    ot::get_planes(message, 0, bits, other);
    answer_->label = low_bits(bits) - ((largest.front() + other.front()) & low_bits(bits));
  }

  TransferParty& party_;
  const SharePlan& plan_;
  const ServerPart* server_;
  const ClientPart* client_;
  ShareAnswer* answer_;
  std::vector<TransferNeed> reserves_;
  std::vector<ShareTensor> tensors_;
  std::size_t step_ = 0;
  std::size_t piece_ = 0;
};

}  // namespace

ClearLayers::ClearLayers(const models::IntegerNetwork& network) {
  const std::size_t last = models::logits_node(network);
  for (std::size_t i = 0; i <= last; ++i) {
    const models::Node& node = network.nodes[i];
    if (node.kind != NodeKind::dense && node.kind != NodeKind::conv2d) continue;
    layers_.emplace(i, ClearSums(node, network.nodes[node.inputs.front()].shape));
  }
}

Words ClearLayers::operator()(std::size_t node, const Words& share) const {
  return layers_.at(node)(share);
}

Dialogue<void> reserve_first(TransferParty& party, const SharePlan& plan) {
  const std::vector<TransferNeed> reserves = plan_reserves(plan);
  if (reserves.empty()) co_return;
  co_await ot::reserve(party, reserves.front().from_server, reserves.front().from_client);
}

Dialogue<void> run_server(TransferParty& party, const SharePlan& plan, const ServerPart& part) {
  Run run(party, plan, &part, nullptr, nullptr);
  co_await run.whole();
}

Dialogue<void> run_client(TransferParty& party, const SharePlan& plan, const ClientPart& part,
                          ShareAnswer& answer) {
  Run run(party, plan, nullptr, &part, &answer);
  co_await run.whole();
}

}  // namespace popcorn::protocols::shares
