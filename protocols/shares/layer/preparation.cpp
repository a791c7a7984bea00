#include "protocols/shares/layer/preparation.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/parallel.h"
#include "protocols/ot/steps/share_transfers.h"
#include "protocols/shares/layer/mirror.h"

namespace popcorn::protocols::shares {

namespace {

/// Whether ciphertexts are made for the node.
bool is_packed(const models::Node& node) {
  return node.kind == models::NodeKind::dense || (node.kind == models::NodeKind::conv2d && !mirrors(node));
}

/// `count` values uniform modulo 2^ring.
ot::Words draw_shares(std::size_t count, unsigned ring, Rng& rng) {
  ot::Words shares(count);
  rng.fill({reinterpret_cast<std::uint8_t*>(shares.data()), count * sizeof(std::uint32_t)});
  for (std::uint32_t& share : shares) share &= ot::low_bits(ring);
  return shares;
}

/// What a step throws about bytes from outside says which layer it was.
template <typename Step>
auto naming_layer(const std::string& name, const Step& step) {
  try {
    return step();
  } catch (const InputError& error) {
    throw InputError(error.code(), "layer \"" + name + "\": " + error.what());
  }
}

/// A plan may come from the other party.
void check_plan(const PreparationPlan& plan) {
  for (const PreparationPlan::Layer& layer : plan.layers) {
    check_layer(layer.facts);
    const bool fits =
        layer.source < plan.sources.size() &&
        plan.sources[layer.source].values == static_cast<std::size_t>(layer.facts.input.size()) &&
        plan.sources[layer.source].ring >= layer.facts.ring &&
        plan.sources[layer.source].ring <= WeightedLayer::kMostRingBits;
    if (!fits) {
      throw InputError("layer.invalid", "layer \"" + layer.facts.name + "\" must read a tensor of " +
                                            std::to_string(layer.facts.input.size()) +
                                            " values in a ring of " + std::to_string(layer.facts.ring) +
                                            " bits or more");
    }
  }
}

MaskedResult take(std::optional<MaskedResult>& result, const std::string& name) {
  if (!result) throw Error("preparation.order", "layer \"" + name + "\" has no result, or it was taken");
  MaskedResult taken = std::move(*result);
  result.reset();
  return taken;
}

}  // namespace

unsigned node_ring(const models::Node& node) noexcept {
  return node.ring_bits != 0 ? node.ring_bits : node.bounds.bits + 1;
}

PreparationPlan preparation_plan(const models::IntegerNetwork& network, std::span<const unsigned> rings) {
  PreparationPlan plan;
  for (std::size_t i = 0; i < network.nodes.size(); ++i) {
    if (!is_packed(network.nodes[i])) continue;
    PreparationPlan::Layer& layer = plan.layers.emplace_back();
    layer.node = i;
    layer.facts = weighted_layer(network, i, rings[i]);
    const std::size_t node = network.nodes[i].inputs.front();
    const auto known = std::ranges::find(plan.sources, node, &PreparationPlan::Source::node);
    layer.source = static_cast<std::size_t>(known - plan.sources.begin());
    if (known == plan.sources.end()) {
      plan.sources.push_back({node, static_cast<std::size_t>(layer.facts.input.size()), rings[node]});
    }
    unsigned& ring = plan.sources[layer.source].ring;
    ring = std::max(ring, layer.facts.ring);
  }
  return plan;
}

PreparationPlan preparation_plan(const models::IntegerNetwork& network) {
  std::vector<unsigned> rings;
  for (const models::Node& node : network.nodes) {
    const bool has_weights = node.kind == models::NodeKind::dense || node.kind == models::NodeKind::conv2d;
    rings.push_back(has_weights ? node_ring(node) : 0);
  }
  return preparation_plan(network, rings);
}

PackedNetwork::PackedNetwork(const models::IntegerNetwork& network, PreparationPlan plan, unsigned key_bits)
    : plan_(std::move(plan)), key_bits_(key_bits), layers_(plan_.layers.size()) {
  parallel_indices(layers_.size(), [&](std::size_t i) {
    const PreparationPlan::Layer& layer = plan_.layers[i];
    layers_[i] =
        std::make_unique<PackedLayer>(network.nodes[layer.node], cheapest_layout(layer.facts, key_bits_));
  });
}

PackedCost PackedNetwork::cost(paillier::KeyKind kind) const {
  PackedCost cost;
  for (const auto& layer : layers_) cost += layer->cost(kind);
  return cost;
}

ClientPreparation::ClientPreparation(std::shared_ptr<const paillier::KeyOwner> owner, PreparationPlan plan,
                                     Rng& rng)
    : owner_(std::move(owner)), plan_(std::move(plan)), results_(plan_.layers.size()) {
  check_plan(plan_);
  for (const PreparationPlan::Layer& layer : plan_.layers) {
    layouts_.push_back(cheapest_layout(layer.facts, owner_->public_key().bits()));
  }
  for (const PreparationPlan::Source& source : plan_.sources) {
    shares_.push_back(draw_shares(source.values, source.ring, rng));
  }
}

std::size_t ClientPreparation::request_bytes(std::size_t layer) const {
  return layouts_[layer].inputs() * owner_->public_key().ciphertext_bytes();
}

std::size_t ClientPreparation::response_bytes(std::size_t layer) const {
  return layouts_[layer].outputs() * owner_->public_key().ciphertext_bytes();
}

void ClientPreparation::append_request(Bytes& request) {
  if (requests_made_ == layers()) {
    throw Error("preparation.order", "all " + std::to_string(layers()) + " requests were made");
  }
  const std::size_t layer = requests_made_++;
  encrypt_shares(layouts_[layer], *owner_, shares_[plan_.layers[layer].source], request);
}

void ClientPreparation::take_response(ByteView response) {
  if (responses_taken_ == requests_made_) {
    throw Error("preparation.order", "every request that was made is answered");
  }
  const std::size_t layer = responses_taken_;
  results_[layer] = naming_layer(plan_.layers[layer].facts.name,
                                 [&] { return open_result(layouts_[layer], *owner_, response); });
  ++responses_taken_;
}

MaskedResult ClientPreparation::take_result(std::size_t layer) {
  return take(results_[layer], plan_.layers[layer].facts.name);
}

ServerPreparation::ServerPreparation(std::shared_ptr<const PackedNetwork> network,
                                     std::shared_ptr<const paillier::PublicContext> context, Rng& rng)
    : network_(std::move(network)),
      evaluator_(std::move(context), rng),
      rng_(rng),
      digests_(layers()),
      results_(layers()),
      taken_(layers()) {
  if (evaluator_.key().bits() != network_->key_bits()) {
    throw Error("preparation.key", "a network packed for keys of " + std::to_string(network_->key_bits()) +
                                       " bits does not serve one of " +
                                       std::to_string(evaluator_.key().bits()));
  }
}

std::size_t ServerPreparation::request_bytes(std::size_t layer) const {
  return network_->layer(layer).layout().inputs() * evaluator_.key().ciphertext_bytes();
}

std::size_t ServerPreparation::response_bytes(std::size_t layer) const {
  return network_->layer(layer).layout().outputs() * evaluator_.key().ciphertext_bytes();
}

void ServerPreparation::respond(std::size_t layer, ByteView request, Bytes& response) {
  if (layer >= layers()) {
    throw InputError("preparation.layer", "there are " + std::to_string(layers()) +
                                              " layers to prepare; number " + std::to_string(layer) +
                                              " is none of them");
  }
  const std::string& name = network_->plan().layers[layer].facts.name;
  const Sha256 digest = sha256(request);
  if (taken_[layer] || (digests_[layer] && *digests_[layer] != digest)) {
    throw RefusedError("preparation.other_body",
                       "layer \"" + name + "\": was prepared from another request, or is in use");
  }
  const std::size_t start = response.size();
  try {
    MaskedResult result = naming_layer(
        name, [&] { return network_->layer(layer).evaluate(evaluator_, request, response, rng_); });
    digests_[layer] = digest;
    results_[layer] = std::move(result);
  } catch (...) {
    response.resize(start);
    throw;
  }
}

bool ServerPreparation::complete() const noexcept {
  for (std::size_t layer = 0; layer < digests_.size(); ++layer) {
    if (!digests_[layer]) return false;
  }
  return true;
}

MaskedResult ServerPreparation::take_result(std::size_t layer) {
  MaskedResult result = take(results_[layer], network_->plan().layers[layer].facts.name);
  taken_[layer] = true;
  return result;
}

}  // namespace popcorn::protocols::shares
