// Some neurons of a layer on ciphertexts, from given plaintext operands: how networks whose whole inference
// takes hours are checked layer by layer. Needs both parties in one process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/network/integer_network.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/ciphertext/steps/local_step.h"
#include "protocols/plan/layer_check.h"
#include "protocols/plan/steps.h"
#include "protocols/plan/tournament.h"

namespace popcorn::protocols {

/// `count` different places below `size` (all when there are fewer), ascending: one at random from each of
/// `count` equal parts.
std::vector<std::uint32_t> sample_places(std::uint64_t size, std::size_t count, Rng& rng);

/// Takes nodes in the order of the network. Not thread-safe.
class LayerSamples final : public LayerCheck {
 public:
  /// The references must outlive the object. @throws InputError "model.too_wide" as a session would
  LayerSamples(const models::IntegerNetwork& network, std::shared_ptr<const paillier::KeyOwner> owner,
               std::shared_ptr<const paillier::PublicContext> context, const std::string& sign_test,
               Rng& rng = system_rng());

  /// Encrypts the operands of about `count` neurons of a node (of every level of a max-pool), evaluates them
  /// as a session's server does — the weighted sums with the node's own weights, steps with the real sign
  /// test between both parties — decrypts and compares. @param operands whole tensors @param expected the
  /// node's whole tensor. Returns the number of values compared; 0 for nodes that compute nothing.
  /// @throws CheckError "verify.mismatch" that names node and element
  std::size_t check(std::size_t node, const std::vector<const WideVector*>& operands,
                    const WideVector& expected, std::size_t count) override;

 private:
  using Places = std::vector<std::uint32_t>;
  std::size_t check_sums(const models::Node& node, std::size_t index, const WideVector& operand,
                         const WideVector& expected, std::size_t count);
  std::size_t check_joined(const models::Node& node, const std::vector<const WideVector*>& operands,
                           const WideVector& expected, std::size_t count);
  std::size_t check_pool(const models::Node& node, std::size_t index, const WideVector& operand,
                         const WideVector& expected, std::size_t count);
  std::size_t check_level(const models::Node& node, const Tournament::Level& level, const WideVector& values,
                          unsigned bits, std::size_t count);

  paillier::CiphertextBatch encrypt(const WideVector& values) const;
  void compare(const models::Node& node, const paillier::CiphertextBatch& computed, const Places& places,
               const WideVector& expected) const;

  const models::IntegerNetwork& network_;
  std::shared_ptr<const paillier::KeyOwner> owner_;
  std::vector<Step> steps_;
  paillier::Evaluator evaluator_;
  Rng& rng_;
  LocalStep step_;
};

}  // namespace popcorn::protocols
