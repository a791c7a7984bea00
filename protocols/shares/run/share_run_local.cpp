#include "protocols/shares/run/share_run_local.h"

#include <algorithm>
#include <bit>

#include "models/evaluation/plaintext_evaluator.h"
#include "models/network/rounding.h"
#include "protocols/shares/run/share_cost.h"

namespace popcorn::protocols::shares {

namespace {

/// Values of a plaintext of 2048 bits, about.
constexpr std::size_t kSlots = 64;

/// Σ|w| of positive and of negative weights, each of the output that has most: one offset serves all outputs.
struct WeightSums {
  std::uint64_t positive = 0, negative = 0;
};

WeightSums weight_sums(const models::Node& node) {
  WeightSums most;
  const std::size_t inputs = node.weights.size() / static_cast<std::size_t>(node.shape.channels);
  for (std::size_t first = 0; first < node.weights.size(); first += inputs) {
    WeightSums sums;
    for (std::size_t i = first; i < first + inputs; ++i) {
      const std::int64_t weight = node.weights[i];
      (weight < 0 ? sums.negative : sums.positive) +=
          static_cast<std::uint64_t>(weight < 0 ? -weight : weight);
    }
    most = {std::max(most.positive, sums.positive), std::max(most.negative, sums.negative)};
  }
  return most;
}

/// Slots of W·c + offset, masked by digits r with carries from slot to slot: d = v + r.
void mask_slots(const WideVector& exact, unsigned ring, WeightSums sums, Rng& rng, MaskedResult& server,
                MaskedResult& client) {
  const unsigned slot_bits = ring + static_cast<unsigned>(std::bit_width(sums.positive + sums.negative)) + 1;
  const std::uint64_t slot = (std::uint64_t{1} << slot_bits) - 1;
  const std::uint64_t offset = sums.negative << ring;
  std::uint64_t below_r = 0, below_d = slot;  // below slot 0 nothing carries
  std::uint64_t carry = 0;
  for (std::size_t j = 0; j < exact.size(); ++j) {
    if (j % kSlots == 0) {
      below_r = 0;
      below_d = slot;
      carry = 0;
    }
    const std::uint64_t r = rng.next_u64() & slot;
    const std::uint64_t sum = static_cast<std::uint64_t>(exact.to_int64(j)) + offset + r + carry;
    const std::uint64_t d = sum & slot;
    carry = sum >> slot_bits;
    client.words.push_back(static_cast<std::uint32_t>(d - offset) & ot::low_bits(ring));
    server.words.push_back(static_cast<std::uint32_t>(~r) & ot::low_bits(ring));
    client.lowest.push_back(static_cast<std::uint32_t>(below_d >> (slot_bits - 1)));
    server.lowest.push_back(static_cast<std::uint32_t>(~below_r >> (slot_bits - 1)) & 1U);
    below_r = r;
    below_d = d;
  }
}

/// The network's weights without what belongs to the online phase.
models::IntegerNetwork bare(models::IntegerNetwork network) {
  for (models::Node& node : network.nodes) {
    node.ring_bits = 0;
    node.bias = WideVector(node.bias.size(), 1);
  }
  return network;
}

}  // namespace

DealtPreparation deal_preparation(const models::IntegerNetwork& network, const SharePlan& plan, Rng& rng) {
  DealtPreparation dealt;
  const models::IntegerNetwork weights = bare(network);
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (!plan.chosen[i]) continue;
    ot::Words& words = dealt.chosen[i];
    for (std::size_t j = 0; j < plan.network.nodes[i].size(); ++j)
      words.push_back(static_cast<std::uint32_t>(rng.next_u64()) & ot::low_bits(plan.held[i]));
  }
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (!plan.network.nodes[i].weighted()) continue;
    const ot::Words& chosen = dealt.chosen.at(network.nodes[i].inputs.front());
    WideVector operand(chosen.size(), 1);
    for (std::size_t j = 0; j < chosen.size(); ++j)
      operand.set_int64(j, chosen[j] & ot::low_bits(plan.ring_of_layer(i)));
    const WideVector exact = models::evaluate_node(weights, i, {&operand});
    mask_slots(exact, plan.ring_of_layer(i), weight_sums(network.nodes[i]), rng, dealt.server[i],
               dealt.client[i]);
  }
  return dealt;
}

LocalShares::LocalShares(const models::IntegerNetwork& network, const ShareOptions& options, Rng& rng)
    : network_(network), plan_(plan_shares(share_network(network), options)), layers_(network), rng_(rng) {
  const ShareCost cost = predict_shares(plan_);
  const std::uint64_t most = std::max(cost.all.transfers[0], cost.all.transfers[1]);
  parties_ = std::make_unique<ot::TwoParties>(ot::TransferSource::for_transfers(most), rng);
}

LocalInference LocalShares::infer(const WideVector& input, const OpenedObserver& observer) {
  return infer(input, deal_preparation(network_, plan_, rng_), observer);
}

namespace {

/// Puts shares together as soon as both are there.
class Opener {
 public:
  explicit Opener(const OpenedObserver& opened) : opened_(opened) {}
  ShareObserver observer() {
    if (!opened_) return {};
    return [this](std::size_t node, unsigned ring, const ShareTensor& share) { add(node, ring, share); };
  }

 private:
  void add(std::size_t node, unsigned ring, const ShareTensor& share) {
    const auto [other, first] = waiting_.try_emplace(node, share);
    if (first) return;
    std::vector<std::int64_t> values;
    for (std::size_t j = 0; j < share.words.size(); ++j) {
      std::int64_t x = std::int64_t{share.words[j]} + other->second.words[j];
      if (!share.lowest.empty()) x += share.lowest[j] | other->second.lowest[j];
      values.push_back(models::wrap_to_ring(x, ring));
    }
    waiting_.erase(other);
    opened_(node, ring, values);
  }

  const OpenedObserver& opened_;
  std::map<std::size_t, ShareTensor> waiting_;
};

ot::Words as_words(const WideVector& values) {
  ot::Words words;
  for (std::size_t j = 0; j < values.size(); ++j)
    words.push_back(static_cast<std::uint32_t>(values.to_int64(j)));
  return words;
}

}  // namespace

LocalInference LocalShares::infer(const WideVector& input, const DealtPreparation& preparation,
                                  const OpenedObserver& observer,
                                  const std::function<void(bool, Bytes&)>& alter) {
  LocalInference result;
  ot::TransferParty& server = parties_->party(true);
  ot::TransferParty& client = parties_->party(false);
  result.transfers = parties_->run([&](ot::TransferParty& party) { return reserve_first(party, plan_); });
  const std::uint64_t before[2] = {server.sender.taken(), client.sender.taken()};
  Opener opener(observer);
  const ServerPart server_part{layers_, [&](std::size_t i) { return preparation.server.at(i); },
                               opener.observer()};
  const ClientPart client_part{as_words(input), [&](std::size_t i) { return preparation.chosen.at(i); },
                               [&](std::size_t i) { return preparation.client.at(i); }, opener.observer()};
  ot::Half server_half(server.wire, run_server(server, plan_, server_part));
  ot::Half client_half(client.wire, run_client(client, plan_, client_part, result.answer));
  result.online = ot::run_halves(server_half, client_half, alter);
  result.transfers_used = {server.sender.taken() - before[0], client.sender.taken() - before[1]};
  return result;
}

OpenedCheck::OpenedCheck(const models::IntegerNetwork& network, const WideVector& input)
    : network_(network), expected_(models::evaluate_all(network, input)) {}

OpenedObserver OpenedCheck::observer() {
  return [this](std::size_t node, unsigned ring, const std::vector<std::int64_t>& values) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const std::int64_t expected = models::wrap_to_ring(expected_[node].to_int64(j), ring);
      ++values_;
      if (values[j] == expected) continue;
      if (wrong_++ == 0) {
        first_wrong_ = "node '" + network_.nodes[node].name + "', value " + std::to_string(j) + ": " +
                       std::to_string(values[j]) + " instead of " + std::to_string(expected) + " modulo 2^" +
                       std::to_string(ring);
      }
    }
  };
}

}  // namespace popcorn::protocols::shares
