// What a layer sees of sample pictures: the statistics that post-training compression needs.
#pragma once

#include <atomic>
#include <memory>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/quantisation/quantisation.h"
#include "compress/quantisation/reconstruction.h"

namespace popcorn::compress {

/// Runs sample pictures through a float network and through its half-compressed copy. Labels are not used.
class Calibration {
 public:
  /// @param reference without batch-norm; its outputs are the wanted ones
  /// @param stop ends a call with Interrupted when it becomes true; may be null
  /// @throws InputError "calibration.shape" when the pictures do not fit
  Calibration(const FloatGraph& reference, Dataset pictures, const std::atomic<bool>* stop = nullptr);
  ~Calibration();
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  /// Moments of the inputs of a layer in `graph` (whose layers before it may have been rewritten) and of the
  /// layer's outputs in the reference. Ask for the layers in the order of one graph that is rewritten layer
  /// by layer: what the pictures became on their way there is kept, so that all calls together cost two
  /// passes of the pictures and hold the widest tensors of all of them. A convolution of n inputs an output
  /// counts at up to kSamplesPerInput · n positions, evenly spread over pictures and places, but at no fewer
  /// than kFewestSamples and no more than kMostSamples. @throws Interrupted
  /// The halves are left empty for layers of more than kMostHalved inputs an output, for their size.
  HalvedMoments moments(const FloatGraph& graph, std::size_t layer) const;
  /// The same in the reference itself, with fewer positions, and without the outputs' part.
  LayerMoments input_moments(std::size_t layer) const;

  /// What each channel of the operand of a node in `graph` takes, see quantise(); asked for in the same
  /// order.
  std::vector<ChannelRange> ranges(const FloatGraph& graph, std::size_t node) const;

  static constexpr std::size_t kMostHalved = 2048;
  static constexpr std::size_t kSamplesPerInput = 256, kFewestSamples = 1 << 14, kMostSamples = 1 << 16;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace popcorn::compress
