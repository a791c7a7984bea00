// How far a quantised network's layers are from the float network's.
#pragma once

#include <atomic>
#include <limits>
#include <string>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

struct LayerNoise {
  std::string layer;
  /// 10·log10 of Σy² / Σ(y − ŷ)² over sample pictures, y of the float network, each channel of ŷ with the
  /// scale that fits best: channels of both networks may be scaled apart. Infinite where both are equal.
  double signal_to_noise_db = std::numeric_limits<double>::infinity();
};

/// Of every node with the same name and shape in both networks that computes; in node order. Runs the first
/// `pictures`.
/// @param stop ends the work with Interrupted when it becomes true; may be null
std::vector<LayerNoise> layer_noise(const FloatGraph& wanted, const FloatGraph& quantised,
                                    const Dataset& data, std::size_t pictures,
                                    const std::atomic<bool>* stop = nullptr);

}  // namespace popcorn::compress
