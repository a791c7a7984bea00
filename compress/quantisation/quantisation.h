// Quantisation of weights: from real weights to weights in units of an integer grid.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compress/float_graph.h"

namespace popcorn::compress {

struct LayerBits {
  std::string pattern;  ///< layer name, or prefix followed by *
  int bits = 0;
};

enum class GridKind {
  uniform,   ///< the integers [−(2^(bits−1) − 1), 2^(bits−1) − 1]
  ternary,   ///< −1, 0, 1, whatever the bits
  binary,    ///< −1 and 1, whatever the bits; the step is the mean magnitude (Rastegari et al. 2016)
  codebook,  ///< zero and ±2^(bits−1) integer magnitudes by clustering, see integer_codebook()
};

struct LayerGrid {
  std::string pattern;  ///< layer name, or prefix followed by *
  GridKind kind = GridKind::uniform;
};

struct QuantisationOptions {
  int bits = 4;  ///< 2 … 8
  GridKind kind = GridKind::uniform;
  std::vector<LayerBits> layers;  ///< the first that matches decides
  /// Not 0: values are rounded after each ReLU or clip, to about so many bits; needs ranges, see quantise().
  int activation_bits = 0;
  /// The output has a scale for each class (FloatGraph::class_scale): the last layer's channels need no
  /// common step.
  bool class_scales = false;
  std::vector<LayerBits> activations;  ///< of single ReLUs or clips, likewise
  std::vector<LayerGrid> kinds;        ///< likewise
};

/// A layer where some channels' steps are coarser than their weights want.
struct CutLayer {
  std::string layer;
  std::size_t channels = 0;
};

/// What sample pictures make of one channel that a ReLU reads.
struct ChannelRange {
  double usual = 0;    ///< all but a thousandth of the positive values are at most this
  double least = 0;    ///< ≤ 0
  double largest = 0;  ///< ≥ 0
};
/// Of the operand of a node in a graph in which all layers before are quantised already, channel by channel.
using RangeSource = std::function<std::vector<ChannelRange>(const FloatGraph& graph, std::size_t node)>;

/// Decides in place of plain rounding what a layer's weights become. Called layer by layer in the order of
/// the graph, in which all layers before are quantised already; weights are real and refer to that graph's
/// inputs.
class LayerRounder {
 public:
  virtual ~LayerRounder() = default;
  /// May change weights and mask before the steps are chosen.
  virtual void prepare(const FloatGraph& graph, std::size_t layer, std::vector<double>& weights,
                       std::vector<std::uint8_t>& mask) = 0;
  /// Makes weights of output o whole multiples (on the grid) of steps[o].
  virtual void round(std::vector<double>& weights, const std::vector<std::uint8_t>& mask,
                     const std::vector<double>& steps, const WeightGrid& grid) = 0;
  /// The biases for the rounded weights.
  virtual std::vector<double> biases(const std::vector<double>& weights) = 0;
};

/// Gives every convolution and dense layer without a grid one of the chosen kind, with one step per output
/// channel. Layers that have a grid already (binary ones) keep it.
///
/// The graph is rewritten so that each layer's weights are in units of its own grid (step 1). The steps q_o
/// of a layer's outputs do not stay behind: they are folded into the columns of the layers that read it,
/// before those are quantised in turn, so that every activation tensor has one scale. Where a scale per
/// channel cannot move on (an addition, the network's output) the layer has one step for all outputs.
/// Each step of a uniform grid minimises the squared error Σ(w − q·round(w/q))² over the kept weights. The
/// input's mean becomes a whole pixel value, its deviations one.
///
/// Afterwards the graph computes the same function up to that rounding; fine-tuning may follow, then lower().
/// @throws UsageError "quantisation.bits", "layer.unknown"; InputError "quantisation.batch_norm" when
/// fold_batch_norm() was not called
///
/// With activation_bits ReLUs and clips become requantised ones (FloatNode::steps): a channel's step is a
/// power of two times what one integer is worth there, the least with which its usual values fit the bits,
/// one of its largest magnitude one more. What the steps of channels differ by is folded into the layers that
/// read them, like the steps of weights; channels that come to a sum share one.
/// @param rounder null = plain rounding
/// @param ranges for activation_bits only
/// @param cut when not null: gets the layers with channels whose steps were raised because they lie far below
/// the others'
void quantise(FloatGraph& graph, const QuantisationOptions& options, LayerRounder* rounder = nullptr,
              std::vector<CutLayer>* cut = nullptr, const RangeSource& ranges = {});

/// Whether every layer reads pixels or what a ReLU or clip has rounded: what activation_bits asks for. Signs,
/// layers right behind layers or sums, and sums that are the output are not covered.
bool can_round_activations(const FloatGraph& graph);

/// The step q > 0 that minimises Σ(w − q·clamp(round(w/q), ±levels))² over the given weights; 1 when all are
/// zero.
double best_step(const std::vector<double>& weights, std::int32_t levels);

}  // namespace popcorn::compress
