// Execution of a FloatGraph on LibTorch tensors, with or without gradients. Includes LibTorch: only the few
// sources that train or run networks include this header.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

/// The parameters of one node as tensors; undefined where the node has none.
struct NodeTensors {
  at::Tensor weights, bias, mask, codebook;
  at::Tensor gamma, beta, mean, variance, steps;
};

class TorchGraph {
 public:
  enum class Mode { inference, training };

  /// Copies every parameter. @param type at::kFloat, or at::kDouble to check exactness
  explicit TorchGraph(const FloatGraph& graph, Mode mode, at::ScalarType type = at::kFloat);

  /// Logits, batch × classes, for inputs batch × channels × height × width. In training mode batch-norm uses
  /// and updates batch statistics, and rounding to a grid and sign pass gradients straight through (Bengio et
  /// al. 2013).
  at::Tensor forward(const at::Tensor& input);
  /// The outputs of all nodes (4-D), in node order.
  std::vector<at::Tensor> forward_all(const at::Tensor& input);

  /// The output of one node (4-D); holds no other longer than it is read.
  at::Tensor forward_to(const at::Tensor& input, std::size_t node) const;
  /// Computes the outputs (4-D) of nodes first … last from those before; value 0, the input, is given. Drops
  /// what no later node reads, but for the last one. @param values one a node
  void extend(std::vector<at::Tensor>& values, std::size_t first, std::size_t last) const;

  /// One trainable tensor and what the optimiser must know about it.
  struct Parameter {
    at::Tensor tensor;
    bool on_grid = false;   ///< in grid units (steps of 1)
    bool decays = false;    ///< weight decay applies
    std::int64_t rows = 0;  ///< of a weight matrix, one per output; 0 for vectors
  };
  std::vector<Parameter> parameters() const;
  /// Every tensor that training changes, statistics of batch-norm included: for checkpoints. Live.
  std::vector<at::Tensor> state() const;
  /// Keeps weights inside the range of their grid; to be called after each step of the optimiser.
  void project();

  /// Writes the parameters back into a graph of the same structure.
  void store(FloatGraph& graph) const;
  /// Takes over masks (and weights) that a rewrite of the graph changed.
  void load(const FloatGraph& graph);

 private:
  at::Tensor run(const FloatNode& node, const NodeTensors& tensors,
                 const std::vector<at::Tensor>& values) const;
  at::Tensor layer(const FloatNode& node, const NodeTensors& tensors, const at::Tensor& input) const;
  at::Tensor requantised(const FloatNode& node, const NodeTensors& tensors, const at::Tensor& input) const;
  at::Tensor effective_weights(const FloatNode& node, const NodeTensors& tensors) const;

  std::vector<FloatNode> nodes_;  // without parameter values
  std::vector<NodeTensors> tensors_;
  at::Tensor class_scale_;  // undefined where there is none
  Mode mode_;
  at::ScalarType type_;
};

/// Normalised pictures first … first + count − 1 as a batch × channels × height × width.
at::Tensor input_batch(const FloatGraph& graph, const Dataset& data, std::size_t first, std::size_t count);

/// at::conv2d(), but by oneDNN wherever it can: with one thread LibTorch would leave 1×1 kernels to BLAS,
/// which is ten times slower where that is the reference BLAS, as in Debian.
at::Tensor fast_convolution(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& bias,
                            at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                            std::int64_t groups);

/// Copies values into a new tensor and back.
at::Tensor to_tensor(const std::vector<float>& values, at::ScalarType type);
std::vector<float> to_vector(const at::Tensor& tensor);

}  // namespace popcorn::compress
