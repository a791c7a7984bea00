#include "protocols/shares/shares_engine.h"

#include <algorithm>

#include "base/error.h"
#include "protocols/ciphertext/time_estimate.h"
#include "protocols/shares/run/share_cost.h"
#include "protocols/shares/share_dry_run.h"
#include "protocols/shares/shares_client.h"
#include "protocols/shares/shares_server.h"

namespace popcorn::protocols::shares {

namespace {

/// Words of all masked results and of the largest tensor with what a step makes of it, transfers that are
/// ready, the extension's work, and the largest message with its answer.
std::uint64_t peak_memory(const SharePlan& plan, const SharesSchedule& schedule, const ShareCost& cost) {
  constexpr std::uint64_t kWorkBytes = std::uint64_t{64} << 20;
  constexpr std::uint64_t kStepWords = 24, kTransferBytes = 9;
  std::uint64_t words = 0, largest = 0, message = 0;
  for (const ShareNode& node : plan.network.nodes) {
    if (node.weighted()) words += 2 * node.size();
    largest = std::max<std::uint64_t>(largest, node.size());
  }
  for (std::uint64_t round = 0; round < schedule.rounds(); ++round) {
    message =
        std::max(message, schedule.client_message(round).bytes() + schedule.server_message(round).bytes());
  }
  const std::uint64_t transfers = std::min<std::uint64_t>(cost.all.transfers[0] + cost.all.transfers[1],
                                                          2 * plan.options.transfers_ahead);
  return sizeof(std::uint32_t) * (words + kStepWords * largest) + kTransferBytes * transfers + 4 * message +
         kWorkBytes;
}

/// A layer for each node of what both parties know: the preparation at the weighted ones, the steps' bytes at
/// theirs, and all else (set-up, transfers, prefixes) at the input.
InferenceCost cost_of(const ShareFacts& facts, ShareRounding rounding, unsigned key_bits,
                      const PackedNetwork* packed) {
  const SharePlan plan = plan_shares(facts.network, share_options(rounding));
  const SharesSchedule schedule(facts, rounding, plan, key_bits);
  InferenceCost cost;
  for (const ShareNode& node : facts.network.nodes) {
    cost.layers.push_back({.name = node.name, .kind = std::string(models::to_string(node.kind))});
  }
  for (std::size_t i = 0; i < schedule.layers(); ++i) {
    InferenceCost::Layer& layer = cost.layers[schedule.preparation().layers[i].node];
    const PackedLayout& layout = schedule.layout(i);
    layer.ciphertexts_up = layout.inputs();
    layer.ciphertexts_down = layout.outputs();
    layer.bytes_up = layer.ciphertexts_up * (key_bits / 4);
    layer.bytes_down = layer.ciphertexts_down * (key_bits / 4);
    if (packed != nullptr)
      layer.multiplications = packed->layer(i).cost(paillier::KeyKind::ordinary).multiplications;
  }
  const ShareCost steps = predict_shares(plan);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    cost.layers[plan.steps[i].node].bytes_down += steps.steps[i].bytes[0];
    cost.layers[plan.steps[i].node].bytes_up += steps.steps[i].bytes[1];
  }
  std::uint64_t up = 0, down = 0;
  for (std::uint64_t round = 0; round < schedule.rounds(); ++round) {
    up += schedule.client_message(round).bytes();
    down += schedule.server_message(round).bytes();
  }
  for (const InferenceCost::Layer& layer : cost.layers) {
    up -= layer.bytes_up;
    down -= layer.bytes_down;
  }
  cost.layers.front().bytes_up += up;
  cost.layers.front().bytes_down += down;
  cost.rounds = schedule.rounds();
  cost.peak_memory_client = cost.peak_memory_server = peak_memory(plan, schedule, steps);
  cost.add_up();
  return cost;
}

class SharesEngine final : public Engine {
 public:
  SharesEngine(std::string_view name, ShareRounding rounding) : name_(name), rounding_(rounding) {}
  std::string_view name() const noexcept override { return name_; }

  void publish(const models::IntegerNetwork& network, const PublishOptions& /*options*/,
               ClientBundle& bundle) const override {
    if (!bundle.share_facts) bundle.share_facts = std::make_shared<const ShareFacts>(share_facts(network));
  }

  std::unique_ptr<const PreparedNetwork> prepare(const models::IntegerNetwork& network,
                                                 const PublishOptions& /*options*/) const override {
    return std::make_unique<SharesNetwork>(network, rounding_);
  }

  /// Its set-up is of one session.
  bool uses_transfers(const ClientBundle& /*bundle*/, const SessionOptions& /*options*/) const override {
    return false;
  }

  std::unique_ptr<ServerEngine> server(const ServerParts& parts) const override {
    return make_shares_server(parts, dynamic_cast<const SharesNetwork&>(parts.network), rounding_);
  }

  std::unique_ptr<ClientEngine> client(const ClientParts& parts, WideVector input) const override {
    return std::make_unique<SharesClient>(parts, std::move(input), rounding_);
  }

  InferenceCost cost(const PreparedNetwork& network, const ClientBundle& bundle, unsigned key_bits,
                     const SessionOptions& /*options*/, bool /*resumes*/) const override {
    const auto packed = dynamic_cast<const SharesNetwork&>(network).packed(key_bits);
    return cost_of(*bundle.share_facts, rounding_, key_bits, packed.get());
  }

  InferenceCost client_cost(const ClientBundle& bundle, unsigned key_bits, const SessionOptions& /*options*/,
                            bool /*resumes*/) const override {
    return cost_of(*bundle.share_facts, rounding_, key_bits, nullptr);
  }

  MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>& owner,
                             const std::shared_ptr<const paillier::PublicContext>& context,
                             const SessionOptions& options, Rng& rng) const override {
    return protocols::measure_speed(owner, context, options.sign_test, rng);
  }

  std::unique_ptr<LayerCheck> layer_check(const models::IntegerNetwork& /*network*/,
                                          std::shared_ptr<const paillier::KeyOwner> /*owner*/,
                                          std::shared_ptr<const paillier::PublicContext> /*context*/,
                                          const SessionOptions& /*options*/, Rng& /*rng*/) const override {
    return nullptr;
  }

 private:
  std::string_view name_;
  ShareRounding rounding_;
};

}  // namespace

SharesNetwork::SharesNetwork(const models::IntegerNetwork& network, ShareRounding rounding)
    : network_(network),
      plan_(plan_shares(share_network(network), share_options(rounding))),
      preparation_(preparation_plan(facts_without_flights(network), plan_)),
      layers_(network) {}

std::shared_ptr<const PackedNetwork> SharesNetwork::packed(unsigned key_bits) const {
  const std::lock_guard lock(mutex_);
  auto& packed = packed_[key_bits];
  if (!packed) packed = std::make_shared<const PackedNetwork>(network_, preparation_, key_bits);
  return packed;
}

const Engine& shares_engine() {
  static const SharesEngine engine("shares", ShareRounding::nearest);
  return engine;
}

const Engine& shares_fast_engine() {
  static const SharesEngine engine("shares-fast", ShareRounding::fast);
  return engine;
}

}  // namespace popcorn::protocols::shares
