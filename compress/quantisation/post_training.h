// Compression without labels and without fine-tuning.
#pragma once

#include <atomic>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/quantisation.h"

namespace popcorn::compress {

struct PostTrainingOptions {
  PruningOptions pruning;  ///< PruningScope::sensitivity is meant for this
  QuantisationOptions quantisation;
  double damping = 0.01;  ///< of the layers' second moments, see Reconstruction
  /// Ends the work with Interrupted when it becomes true; may be null.
  const std::atomic<bool>* stop = nullptr;
};

/// Prunes and quantises layer after layer by second-order reconstruction (see reconstruction.h): each layer
/// is first fitted to the float network's outputs on the pictures, given the inputs that the layers before it
/// now make; then weights are removed and the rest rounded, each error made up for by the weights still free.
/// How many weights each layer loses is what prune() would take, but at least those that are zero already,
/// which stay zero; which others is decided here. With PruningScope::sensitivity one threshold for the whole
/// network decides, on how much the removal of a weight, made up for by others, changes the network's
/// predictions: loss of the layer's output (Reconstruction::removal_losses) times output_sensitivities();
/// such a layer keeps at least a hundredth of its weights. The result is as after quantise(). Cost: two
/// passes of the pictures through the network (with the sensitivities, three and one backwards), and for a
/// layer of n inputs an output about 7 n³ + 30 · outputs · n² multiply-adds (2 n³ above 2,048 inputs).
/// @param graph without batch-norm @param pictures a few hundred; labels are not used
/// @throws as prune(), quantise(), Calibration; Interrupted, then `graph` is of no use
/// @param cut as for quantise()
void compress_post_training(FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options,
                            std::vector<CutLayer>* cut = nullptr);

}  // namespace popcorn::compress
