// Pruning by magnitude: which weights stay.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compress/float_graph.h"

namespace popcorn::compress {

enum class PruningScope {
  global,  ///< one threshold on |w| for the whole network
  layer,   ///< the same share in every layer
  /// One threshold on the layer-adaptive score w² / Σ{u² : |u| ≥ |w|, same layer} (Lee et al. 2021), which
  /// spares small layers and never empties one.
  adaptive,
  /// One threshold on the estimated loss of the network's own predictions: for compress_post_training() only.
  sensitivity
};

/// Share of zeros of one layer, chosen by name; the name may end with * to match a prefix.
struct LayerSparsity {
  std::string pattern;
  double sparsity = 0;
};

struct PruningOptions {
  double sparsity = 0;  ///< share of all weights that become zero, in [0, 1)
  PruningScope scope = PruningScope::adaptive;
  std::vector<LayerSparsity>
      layers;  ///< the first that matches decides; the others share what `sparsity` leaves
  /// Homomorphic cost enters the score: a weight that is used at p output positions costs p multiplications,
  /// and its score is divided by p^cost_exponent. 0 = pruning regards accuracy only.
  double cost_exponent = 0;
};

/// Zhu and Gupta 2017: the share of zeros grows as s·(1 − (1 − t)³) while t goes from 0 to 1.
double gradual_sparsity(double final_sparsity, double done);

/// Sets every layer's mask so that exactly round(sparsity · weights) weights are zero in the scope (per layer
/// where a layer has its own share). `fraction` scales all shares, for a gradual schedule. Ties keep the
/// earlier weight. Weights that were pruned before may come back when their magnitude has grown.
/// @throws UsageError "pruning.sparsity" for a share outside [0, 1), "layer.unknown" for a pattern without a
/// match, "pruning.scope" for PruningScope::sensitivity
void prune(FloatGraph& graph, const PruningOptions& options, double fraction = 1);

/// Checks shares and patterns. @throws UsageError as prune()
void check_pruning(const FloatGraph& graph, const PruningOptions& options);
/// The share that a layer has of its own; null = none.
const LayerSparsity* own_sparsity(const FloatNode& node, const PruningOptions& options);
/// By which the loss of a weight of this layer counts less: positions^cost_exponent.
double cost_penalty(const FloatNode& node, const PruningOptions& options);

}  // namespace popcorn::compress
