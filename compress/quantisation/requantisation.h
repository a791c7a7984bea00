// From an exact integer network to a requantised one: small values for computation on shares.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::compress {

struct RequantisationOptions {
  int activation_bits = 8;  ///< A, 2 … 16: nominal bits of an activation
  /// Of single layers, by the name of the step (ReLU) that is rounded; they win.
  std::vector<std::pair<std::string, int>> layers;
  /// Share of a channel's positive values that fit A bits; the others are larger, nothing is cut off.
  double kept = 0.999;
  /// How many bits the shifts of one tensor may differ: as many more may the next layer's weights take.
  int spread = 2;
  unsigned margin_bits = 1;  ///< of a ring above the largest value that the calibration saw
  /// Ends the work with Interrupted when it becomes true; may be null.
  const std::atomic<bool>* stop = nullptr;
};

/// What became of a layer.
struct RequantisedLayer {
  std::string name;
  unsigned exact_bits = 0;  ///< static bound before
  unsigned ring_bits = 0;   ///< w, or κ of a rescale: of its ring, or of its static bound with a sign
  bool calibrated = false;  ///< the ring is narrower than the static bound
  std::int64_t least_shift = 0, largest_shift = 0;  ///< of a rescale
  double signal_to_noise_db = 0;  ///< of the values against the exact network's on the calibration inputs
};

struct RequantisedNetwork {
  models::IntegerNetwork network;
  std::vector<RequantisedLayer> layers;  ///< layers with weights, sums, rescales; in node order
};

/// Layer after layer, on what the requantised layers before make of the inputs:
/// - each ReLU becomes a rescale, and one goes before weights that would read values of a layer or sum
///   unchanged, unless their results go to a sign.
///   Its shift, channel by channel, leaves `kept` of the positive values (of all magnitudes, without a ReLU)
///   in A bits; one shift for all channels of what a sum reads;
/// - weights take over what the shifts of their inputs differ, exactly,
///   and biases the common unit, matched to the exact outputs' means;
/// - multipliers of sums and joins become small numbers within 1/256 of their ratio;
/// - rings are as wide as the largest magnitude seen, a sign, `margin_bits`, and what the next step needs;
///   none where the static bound is no wider.
/// The result's facts say A, margin and number of inputs.
/// Cost: two evaluations of every input.
/// @param exact finished, not requantised
/// @param inputs within the network's range; some hundred
/// @throws UsageError "requantise.bits", "requantise.layer", "requantise.network"; InputError "requantise.*"
/// when weights or multipliers leave 31 bits; Interrupted
RequantisedNetwork requantise(const models::IntegerNetwork& exact, const std::vector<WideVector>& inputs,
                              const RequantisationOptions& options = {});

}  // namespace popcorn::compress
