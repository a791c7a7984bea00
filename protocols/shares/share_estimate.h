// What an inference on shares costs: exact but for what makes the random transfers. Nothing is run.
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

/// The layouts, plans and steps that a session has, and for the transfers what their source sends to make so
/// many at once, spread over the layers. Seconds for a large network.
/// @throws UsageError "shares.network" unless the network is requantised; InputError "shares.ring",
/// "model.too_wide" when it cannot run
ShareEstimates estimate_shares(const models::IntegerNetwork& network,
                               const ShareEstimateOptions& options = {});

}  // namespace popcorn::protocols
