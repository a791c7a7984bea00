// What a compression did to a network, layer by layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compress/compression.h"
#include "compress/cost_model.h"

namespace popcorn::compress {

/// Of a requantised network's layer: its values and what it costs on shares, see
/// protocols::estimate_shares().
struct ShareReport {
  unsigned ring_bits = 0, kept_bits = 0, slot_bits = 0;  ///< w, κ of a rescale, B
  std::int64_t largest_value = 0;                        ///< magnitude on the test pictures
  double range_used = 0;  ///< largest_value as a share of what the ring holds on either side
  std::uint64_t multiplications = 0, ciphertexts = 0, transfers = 0;
  std::uint64_t ciphertext_bytes = 0, step_bytes = 0;
};

struct LayerReport {
  std::string name, kind, shape;
  std::uint64_t weights = 0, nonzeros = 0;
  double density = 1;
  unsigned bits = 0;           ///< of the signed weights
  std::size_t magnitudes = 0;  ///< distinct |w| > 0
  unsigned bound_bits = 0;     ///< every output is below 2^bound_bits
  Cost cost;
  Cost cost_before;  ///< with all weights kept and rounded to 8 bits
  std::vector<std::pair<std::int32_t, std::uint64_t>> histogram;  ///< weight and how often, ascending
  std::optional<double>
      signal_to_noise_db;             ///< see LayerNoise; unset where the float network has no such layer
  std::optional<ShareReport> shares;  ///< of a requantised network
  std::size_t cut_channels = 0;       ///< whose quantisation steps are coarser than they need, see CutLayer
};

struct CompressionReport {
  std::string name;
  std::vector<LayerReport> layers;  ///< every node but flatten
  std::uint64_t weights = 0, nonzeros = 0;
  double density = 1;
  unsigned weight_bits = 0;  ///< largest of all layers
  Cost cost, cost_before;
  std::string cost_problem;  ///< not empty: why no inference is possible with such a key, see NetworkCost
  std::vector<VisitedPoint> points;
  double float_accuracy = 0, pruned_accuracy = 0, integer_accuracy = 0;
  std::size_t test_images = 0;
  std::size_t classes = 0;
  bool equalised = false;
  std::uint64_t file_bytes = 0;
  CostSettings settings;
  /// Of a requantised network, which needs no ciphertext engine: the sums of its layers, `cost` then is 0.
  std::optional<ShareReport> shares;
  std::uint64_t fast_bytes = 0;  ///< of all layers with fast rounding
  double same_answers = 0;       ///< share of test pictures with the float network's answer
  std::uint64_t range_values = 0, beyond_range = 0;  ///< on the test pictures
};

/// Plans both networks for their exact cost: seconds for large ones. @param file_bytes size of the serialised
/// network
CompressionReport make_report(const CompressionResult& result, std::uint64_t file_bytes);

/// The JSON of `popcorn compress --json`, two-space indented, newline at the end.
std::string report_json(const CompressionReport& report);

}  // namespace popcorn::compress
