// The preparation of one inference: everything that needs Paillier, before the input is there. For every
// weighted layer the client sends its encrypted share of the layer's input, which it chose beforehand, and
// both keep their part of W·c.
//
//   client: ClientPreparation::append_request()  ─►  server: ServerPreparation::respond()
//                                                ─►  client: ClientPreparation::take_response()
//
// Two state machines without I/O, a layer at a time. Nothing in it waits for a round trip: a client may send
// layer after layer while the server computes and answer after answer comes back. A preparation is used by
// one inference or by none; who used it is the session's matter.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/sha256.h"
#include "protocols/shares/layer/packed_layer.h"

namespace popcorn::protocols::shares {

/// What both parties know of a network's weighted layers, in the network's order.
struct PreparationPlan {
  /// A tensor that weighted layers read. The client chooses one share of it, however many they are.
  struct Source {
    std::size_t node = 0;    ///< in the network
    std::size_t values = 0;  ///< of the tensor
    unsigned ring = 0;  ///< shares are uniform modulo 2^ring: the largest ring of the layers that read it
  };
  struct Layer {
    std::size_t node = 0;
    std::size_t source = 0;
    WeightedLayer facts;
  };
  std::vector<Source> sources;
  std::vector<Layer> layers;
};

/// Bits of a node's ring, or those that its static bound needs with a sign.
unsigned node_ring(const models::Node& node) noexcept;
/// @param rings by node: w of a weighted node; of any other one the bits in which its tensor is held, which
/// may be fewer than its readers need
/// @throws InputError "model.too_wide"
PreparationPlan preparation_plan(const models::IntegerNetwork& network, std::span<const unsigned> rings);
/// The same with every weighted node in its node_ring().
PreparationPlan preparation_plan(const models::IntegerNetwork& network);

/// The server's layers for keys of one size. Immutable; shared by all sessions with such keys.
class PackedNetwork {
 public:
  /// Plans all layers, on all cores. @throws InputError "model.too_wide"
  PackedNetwork(const models::IntegerNetwork& network, PreparationPlan plan, unsigned key_bits);

  const PreparationPlan& plan() const noexcept { return plan_; }
  const PackedLayer& layer(std::size_t index) const { return *layers_[index]; }
  unsigned key_bits() const noexcept { return key_bits_; }
  /// Of a whole preparation.
  PackedCost cost(paillier::KeyKind kind) const;

 private:
  PreparationPlan plan_;
  unsigned key_bits_;
  std::vector<std::unique_ptr<const PackedLayer>> layers_;
};

/// The client's half. Not thread-safe. After an exception nothing of it may be used.
class ClientPreparation {
 public:
  /// Chooses all shares. @throws InputError "layer.invalid" for a plan that makes no sense, "model.too_wide"
  ClientPreparation(std::shared_ptr<const paillier::KeyOwner> owner, PreparationPlan plan,
                    Rng& rng = system_rng());

  std::size_t layers() const noexcept { return layouts_.size(); }
  const PackedLayout& layout(std::size_t layer) const { return layouts_[layer]; }
  std::size_t request_bytes(std::size_t layer) const;
  std::size_t response_bytes(std::size_t layer) const;

  std::size_t requests_made() const noexcept { return requests_made_; }
  /// Appends the request of the next layer. Each is made once: whoever must send it again keeps it.
  void append_request(Bytes& request);
  std::size_t responses_taken() const noexcept { return responses_taken_; }
  /// Takes the answer to the first request that has none. @throws InputError as open_result(), naming the
  /// layer
  void take_response(ByteView response);
  bool complete() const noexcept { return responses_taken_ == layers(); }

  /// The share that was chosen of a source's tensor.
  const ot::Words& shares(std::size_t source) const { return shares_[source]; }
  /// This party's part of W·c; once. @throws Error "preparation.order" when it is not there
  MaskedResult take_result(std::size_t layer);

 private:
  std::shared_ptr<const paillier::KeyOwner> owner_;
  PreparationPlan plan_;
  std::vector<PackedLayout> layouts_;
  std::vector<ot::Words> shares_;
  std::vector<std::optional<MaskedResult>> results_;
  std::size_t requests_made_ = 0, responses_taken_ = 0;
};

/// The server's half. Not thread-safe.
class ServerPreparation {
 public:
  /// @param context of the client's key, whose size the network was made for
  ServerPreparation(std::shared_ptr<const PackedNetwork> network,
                    std::shared_ptr<const paillier::PublicContext> context, Rng& rng = system_rng());

  std::size_t layers() const noexcept { return network_->plan().layers.size(); }
  std::size_t request_bytes(std::size_t layer) const;
  std::size_t response_bytes(std::size_t layer) const;

  /// Appends the answer. The same request may come again: it is computed again, and a fresh mask replaces
  /// the old one. Another request for the same layer is refused, since two answers under related masks would
  /// tell about the weights. After any other exception this layer's request may come again.
  /// @throws InputError "preparation.layer", "ciphertext.length", "ciphertext.invalid", naming the layer;
  /// RefusedError "preparation.other_body"
  void respond(std::size_t layer, ByteView request, Bytes& response);
  /// Digest of the request that a layer was computed from; nothing before. What a session binds it to.
  const std::optional<Sha256>& digest(std::size_t layer) const { return digests_[layer]; }
  bool complete() const noexcept;

  /// This party's part of W·c; once, and the layer is not computed again.
  /// @throws Error "preparation.order" when it is not there
  MaskedResult take_result(std::size_t layer);
  paillier::OperationCounts counts() const noexcept { return evaluator_.counts(); }

 private:
  std::shared_ptr<const PackedNetwork> network_;
  paillier::Evaluator evaluator_;
  Rng& rng_;
  std::vector<std::optional<Sha256>> digests_;
  std::vector<std::optional<MaskedResult>> results_;
  std::vector<bool> taken_;
};

}  // namespace popcorn::protocols::shares
