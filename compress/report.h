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
      signal_to_noise_db;        ///< see LayerNoise; unset where the float network has no such layer
  std::size_t cut_channels = 0;  ///< whose quantisation steps are coarser than they need, see CutLayer
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
  bool equalised = false;
  std::uint64_t file_bytes = 0;
  CostSettings settings;
};

/// Plans both networks for their exact cost: seconds for large ones. @param file_bytes size of the serialised
/// network
CompressionReport make_report(const CompressionResult& result, std::uint64_t file_bytes);

/// The JSON of `popcorn compress --json`, two-space indented, newline at the end.
std::string report_json(const CompressionReport& report);

}  // namespace popcorn::compress
