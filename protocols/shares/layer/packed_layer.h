// A dense layer or a convolution on packed shares: the client's share c under its key, the server's weights,
// and W·c as one masked plaintext for each party.
//
//   client: encrypt_shares()  ─►  server: PackedLayer::evaluate()  ─►  client: open_result()
//
// Everything a party receives is uniform: ciphertexts of a client's own choice, and D = W·c + R mod N with R
// uniform modulo N, which hides W·c perfectly for every c, also one that was made up.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/random.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/shares/layer/masked_result.h"

namespace popcorn::protocols::shares {

/// Exact.
struct PackedCost {
  std::uint64_t ciphertexts_up = 0;    ///< as many encryptions
  std::uint64_t ciphertexts_down = 0;  ///< as many decryptions
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t multiplications = 0;  ///< of the server, modulo N²
  PackedCost& operator+=(const PackedCost& other);
};

/// The server's side of one layer for keys of one size. Immutable; shared by all sessions.
class PackedLayer {
 public:
  /// @param node whose facts the layout's layer has
  /// @throws Error "layer.slot" when a slot's content could reach 2^(B − 1)
  PackedLayer(const models::Node& node, PackedLayout layout);

  const PackedLayout& layout() const noexcept { return layout_; }
  const paillier::WeightedSumPlan& plan() const noexcept { return *plan_; }
  PackedCost cost(paillier::KeyKind kind) const;

  /// Appends layout().outputs() ciphertexts of W·c + R, re-randomised, to `response`; R is drawn from `rng`,
  /// once for every call. @param request layout().inputs() ciphertexts
  /// @throws InputError "ciphertext.length", "ciphertext.invalid"
  MaskedResult evaluate(const paillier::Evaluator& evaluator, ByteView request, Bytes& response,
                        Rng& rng = system_rng()) const;
  /// The same for a request that was parsed.
  MaskedResult evaluate(const paillier::Evaluator& evaluator, paillier::CiphertextBatch request,
                        Bytes& response, Rng& rng = system_rng()) const;

 private:
  paillier::CiphertextBatch shifted_inputs(const paillier::Evaluator& evaluator,
                                           paillier::CiphertextBatch x) const;
  paillier::CiphertextBatch packed_sums(const paillier::Evaluator& evaluator,
                                        paillier::CiphertextBatch sums) const;
  WideVector with_offsets(const WideVector& masks) const;

  PackedLayout layout_;
  std::unique_ptr<const paillier::WeightedSumPlan> plan_;
  WideVector offsets_;  ///< one an output group: 2^w·Σ|w⁻| of each slot
};

/// Client: appends layout.inputs() fresh encryptions of its shares to `request`.
/// @param shares of the input tensor; only the low w bits of each count
void encrypt_shares(const PackedLayout& layout, const paillier::KeyOwner& owner, const ot::Words& shares,
                    Bytes& request);

/// Client: decrypts. Refuses what may have wrapped modulo N: D is uniform, so that this tells nothing about
/// the weights, and happens by chance with a probability below 2^-42 a plaintext.
/// @param response layout.outputs() ciphertexts
/// @throws InputError "ciphertext.length", "ciphertext.invalid", "preparation.wrapped"
MaskedResult open_result(const PackedLayout& layout, const paillier::KeyOwner& owner, ByteView response);
/// The same from decrypted residues. @throws InputError "preparation.wrapped"
MaskedResult open_residues(const PackedLayout& layout, const WideVector& residues);

}  // namespace popcorn::protocols::shares
