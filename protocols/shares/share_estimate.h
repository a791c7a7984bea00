// What an inference on shares costs, by formula: no layout is searched, nothing is run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::protocols {

/// Of one node, or of all.
struct ShareEstimate {
  std::uint64_t multiplications = 0;  ///< modulo N², by the server: weighted sums, shifts, packing
  std::uint64_t ciphertexts_up = 0, ciphertexts_down = 0;
  std::uint64_t transfers = 0;         ///< random transfers, both directions
  std::uint64_t ciphertext_bytes = 0;  ///< both directions
  std::uint64_t step_bytes = 0;        ///< of steps on shares, re-shares and the transfers themselves
  std::uint64_t bytes() const noexcept { return ciphertext_bytes + step_bytes; }
  ShareEstimate& operator+=(const ShareEstimate& other);
};

struct ShareEstimateLayer : ShareEstimate {
  std::string name, kind;
  unsigned ring_bits =
      0;  ///< w of the node's values: its ring, or its static bound and a sign; 0 without values
  unsigned kept_bits = 0;  ///< κ of a rescale
  unsigned slot_bits = 0;  ///< B of a layer with weights
  unsigned flights = 0;
};

struct ShareEstimates {
  std::vector<ShareEstimateLayer> layers;  ///< as the network's nodes
  ShareEstimate all;
  unsigned flights = 0;  ///< one after the other; the preparation not counted
};

struct ShareEstimateOptions {
  unsigned key_bits = 3072;
  bool nearest = true;          ///< else fast rounding
  bool multiplications = true;  ///< else they are not counted, which is what takes time
};

/// - A layer with weights has slots of B = w + ⌈log2 max Σ|w|⌉ + 1 bits, ⌊(|N| − 43)/B⌋ a ciphertext. A plane
/// of
///   outputs fills G segments; a channel comes once for each row of the window (each place of a strided one),
///   the places of a row are B squarings a ciphertext each, and G ciphertexts leave an output channel. A
///   dense layer takes a ciphertext an input and packs its outputs with B squarings each. Weighted sums cost
///   what paillier::WeightedSumPlan says for G positions.
/// - Steps cost what ot/share_steps.h says, with the carry of the packed neighbour behind a layer, and a
/// transfer
///   0.05 bytes (0.172 below 5 million, 1.9 below 160,000). A step's result is extended to the ring of its
///   readers, and re-shared before a layer with weights.
/// Cost: as planning the layers for a server: seconds for a large network.
/// @throws UsageError "shares.network" unless the network is requantised; InputError "shares.ring" when a
/// slot does not fit a ciphertext
ShareEstimates estimate_shares(const models::IntegerNetwork& network,
                               const ShareEstimateOptions& options = {});

}  // namespace popcorn::protocols
