// What a layer sees of sample pictures: the statistics that post-training compression needs.
#pragma once

#include <memory>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/reconstruction.h"

namespace popcorn::compress {

/// Runs sample pictures through a float network and through its half-compressed copy. Labels are not used.
class Calibration {
 public:
  /// @param reference without batch-norm; its outputs are the wanted ones
  Calibration(const FloatGraph& reference, Dataset pictures);
  ~Calibration();
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  /// Moments of the inputs of a layer in `graph` (whose layers before it may have been rewritten) and of the
  /// layer's outputs in the reference. Ask for the layers in the order of one graph that is rewritten layer
  /// by layer: what the pictures became on their way there is kept, so that all calls together cost two
  /// passes of the pictures and hold the widest tensors of all of them. A convolution counts at up to
  /// kSamples positions, evenly spread over pictures and places. @throws InputError "calibration.shape" when
  /// the pictures do not fit
  LayerMoments moments(const FloatGraph& graph, std::size_t layer) const;

  static constexpr std::size_t kSamples = 1 << 16;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace popcorn::compress
