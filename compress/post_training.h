// Compression without labels and without fine-tuning.
#pragma once

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "compress/pruning.h"
#include "compress/quantisation.h"

namespace popcorn::compress {

struct PostTrainingOptions {
  PruningOptions pruning;
  QuantisationOptions quantisation;
  double damping = 0.01;  ///< of the layers' second moments, see Reconstruction
};

/// Prunes and quantises layer after layer by second-order reconstruction (see reconstruction.h): each layer
/// is first fitted to the float network's outputs on the pictures, given the inputs that the layers before it
/// now make; then weights are removed and the rest rounded, each error made up for by the weights still free.
/// How many weights each layer loses is what prune() would take, but at least those that are zero already,
/// which stay zero; which others is decided here. The result is as after quantise(). Cost: two passes of the
/// pictures through the network, and for a layer of n inputs an output n³ + outputs · n² multiply-adds.
/// @param graph without batch-norm @param pictures a few hundred; labels are not used
/// @throws as prune(), quantise(), Calibration
void compress_post_training(FloatGraph& graph, const Dataset& pictures, const PostTrainingOptions& options);

}  // namespace popcorn::compress
