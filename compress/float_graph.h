// The float network between import and lowering: a directed acyclic graph of float layers (NCHW).
//
// Every stage of the toolchain reads and rewrites this one graph. A layer carries, beside its float
// parameters, what pruning and quantisation decided about them: a mask of kept weights and a grid of
// permitted values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::compress {

enum class FloatKind {
  input,
  conv2d,
  dense,
  batch_norm,
  affine,
  relu,
  clip,
  sign,
  max_pool2d,
  average_pool2d,
  add,
  concat,
  flatten
};
/// The name used in reports and messages ("conv2d").
std::string_view to_string(FloatKind kind);

/// The values that the weights of a layer may take when it runs. Without a grid they are plain floats.
struct WeightGrid {
  /// Uniform symmetric: the integers [−levels, levels]; 0 = no grid. levels = 2^(bits−1) − 1.
  std::int32_t levels = 0;
  /// Codebook: these integers only, ascending; replaces the uniform grid when not empty.
  std::vector<std::int32_t> codebook;

  bool active() const noexcept { return levels > 0 || !codebook.empty(); }
  /// The largest magnitude that is permitted.
  std::int32_t largest() const noexcept {
    return codebook.empty() ? levels : std::max(-codebook.front(), codebook.back());
  }
  /// Nearest value of the grid; ties away from zero on the uniform grid, downwards on a codebook. Active
  /// grids only.
  std::int32_t nearest(float weight) const;
};

struct FloatNode {
  FloatKind kind = FloatKind::input;
  std::string name;                 ///< unique
  std::vector<std::size_t> inputs;  ///< indices of earlier nodes
  models::Shape shape;              ///< of the output, without the batch

  models::Window window;    ///< conv2d and pools
  std::int64_t groups = 1;  ///< conv2d
  /// conv2d: out × in/groups × height × width; dense: out × in. Row-major. In units of the grid when there is
  /// one.
  std::vector<float> weights;
  std::vector<float> bias;         ///< one per output channel; same units as the weights times the input
  std::vector<std::uint8_t> mask;  ///< 0 = pruned; empty = nothing is pruned
  WeightGrid grid;
  /// A layer computes gain · (weights ∗ x + bias): keeps activations near one while weights live on the
  /// integer grid.
  double gain = 1;

  /// batch_norm: gamma·(x − mean)/√(variance + epsilon) + beta; affine: gamma·x + beta. One per channel.
  std::vector<float> gamma, beta, mean, variance;
  float epsilon = 1e-5F;
  /// relu, clip: not empty = requantised, y = gain · ⌊max(x, 0) / step + ½⌋ with a step per channel; a clip's
  /// limit, in steps, is rounded likewise.
  std::vector<float> steps;
  float upper = 6;  ///< clip: min(max(x, 0), upper), or gamma of each channel where not empty

  bool has_weights() const noexcept { return kind == FloatKind::conv2d || kind == FloatKind::dense; }
  /// Weight i as it is used in the evaluation: masked and rounded to the grid.
  float effective_weight(std::size_t i) const;
  std::uint64_t kept() const;  ///< weights that are not pruned (whatever their value)
};

/// A network of float layers with the rule that turns a picture into its input:
/// x = (pixel / 255 − mean) / deviation, per channel.
struct FloatGraph {
  std::string name;
  std::string description;
  models::InputEncoding encoding;  ///< shape, colour order, resize rule; its offset is set by the lowering
  std::vector<double> mean;        ///< per channel, in units of 255
  std::vector<double> deviation;   ///< per channel, in units of 255
  std::vector<std::string> labels;
  std::string dataset;  ///< what it was trained on, as read_dataset() knows it; may be empty
  bool softmax = true;
  std::vector<float> class_scale;  ///< factor of each output behind the last node; empty = 1
  std::vector<FloatNode> nodes;    ///< first: input; last: the output (logits); topological order

  const FloatNode& input() const { return nodes.front(); }
  const FloatNode& output() const { return nodes.back(); }
  /// Readers of each node's output, in node order.
  std::vector<std::vector<std::size_t>> readers() const;
  std::uint64_t weights() const;
  std::uint64_t kept() const;
  std::uint64_t parameters() const;

  /// Infers every shape from the input's and checks topology and parameter counts.
  /// @throws InputError "graph.*" that names the node and what was expected
  void finish();
};

/// Output shape of a window over an input shape; InputError "graph.shape" naming `node` when it does not fit.
models::Shape window_output(const models::Shape& input, const models::Window& window, std::int64_t channels,
                            std::string_view node);

}  // namespace popcorn::compress
