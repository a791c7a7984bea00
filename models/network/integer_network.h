// The integer network: a directed acyclic graph of exact integer tensors (NCHW, batch of one).
//
// Semantics are exact: nothing is rounded but by a rescale node, and that by one rule (rounding.h). A real
// scale per channel says what an integer means (value = scale · integer); it is never used in the evaluation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/wide_vector.h"

namespace popcorn::models {

enum class NodeKind {
  input,
  dense,
  conv2d,
  sum_pool2d,
  max_pool2d,
  relu,
  sign,
  add,
  concat,
  flatten,
  rescale,
  output
};
/// The name used in files, reports and messages ("conv2d").
std::string_view to_string(NodeKind kind);

/// Channels × height × width; a vector of k values is {k, 1, 1}. Row-major, channel first.
struct Shape {
  std::int64_t channels = 0;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t size() const noexcept { return channels * height * width; }
  std::string to_string() const;  ///< "16x12x12", or "100" for a vector
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// Sliding window of conv2d, sum_pool2d and max_pool2d. Padding is zero for sums and "absent" for maxima.
struct Window {
  std::int64_t kernel_height = 1, kernel_width = 1;
  std::int64_t stride_height = 1, stride_width = 1;
  std::int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::int64_t dilation_height = 1, dilation_width = 1;
  friend bool operator==(const Window&, const Window&) = default;
};

/// Closed interval of every value of one channel, from the weights and the input range.
struct Bounds {
  WideVector low;     ///< one value per channel
  WideVector high;    ///< one value per channel
  unsigned bits = 0;  ///< smallest ℓ with |x| < 2^ℓ for all channels
};

struct Node {
  NodeKind kind = NodeKind::input;
  std::string name;                 ///< unique, used in every message
  std::vector<std::size_t> inputs;  ///< indices of earlier nodes: the node list is in topological order
  Shape shape;                      ///< of the output

  Window window;            ///< conv2d, sum_pool2d, max_pool2d
  std::int64_t groups = 1;  ///< conv2d
  /// dense: out × in; conv2d: out × in/groups × kernel_height × kernel_width. Row-major; zero = pruned.
  std::vector<std::int32_t> weights;
  WideVector bias;  ///< dense, conv2d: one value per output channel
  std::vector<std::int64_t>
      multipliers;  ///< add, concat: one positive integer per operand, aligns the scales

  /// rescale: binary digits dropped, one per channel or one for all, 0 … Limits::kShift. Rounded to nearest:
  /// ⌊(x + 2^(t−1)) / 2^t⌋.
  std::vector<std::int64_t> shifts;
  bool rectify = false;  ///< rescale: a ReLU follows the rounding
  /// dense, conv2d, sum_pool2d, add, concat, rescale: the node computes modulo 2^ring_bits, its values are
  /// the representatives in [−2^(ring_bits − 1), 2^(ring_bits − 1)) (a rescale's before its ReLU). 0: no
  /// ring, the static bound holds. A calibrated ring is narrower than that bound: a value beyond it wraps and
  /// is wrong.
  unsigned ring_bits = 0;

  /// Real value of one unit: one per channel, or one for all. Always positive.
  std::vector<double> scale;
  Bounds bounds;  ///< computed by IntegerNetwork::finish()

  std::uint64_t nonzeros() const;
  double density() const;  ///< nonzeros / weights; 1 for a node without weights
  std::int64_t shift(std::size_t channel) const { return shifts[shifts.size() == 1 ? 0 : channel]; }
  std::vector<std::int32_t> magnitudes() const;  ///< distinct |w| > 0, ascending
  unsigned weight_bits() const;  ///< bits of the signed weights, e.g. 4 for [−7, 7]; 0 without weights
};

/// A column of a table: its numbers from `low` to `high` become 0 … 255.
struct InputColumn {
  std::string name;  ///< may be empty when the table has no header
  double low = 0, high = 1;
  friend bool operator==(const InputColumn&, const InputColumn&) = default;
};

/// How a picture, or a row of numbers, becomes the integer input tensor. Lives with the network, is published
/// to the client.
struct InputEncoding {
  enum class Resize { stretch, shorter_side_then_center_crop };
  enum class Invert {
    never,
    always,
    dark_on_light
  };                           ///< dark_on_light: invert when the border is mostly bright
  Shape shape;                 ///< of the input tensor; 1 or 3 channels (or a vector for plain numbers)
  std::string color = "gray";  ///< "gray", "rgb" or "bgr": channel order of the tensor
  Resize resize = Resize::stretch;
  std::int64_t resize_shorter_side = 0;  ///< for shorter_side_then_center_crop
  enum class Filter {
    box,      ///< area average down, linear up
    bilinear  ///< as Pillow and torchvision resize pictures, with their rule for sizes and crops
  };
  Filter filter = Filter::box;
  Invert invert = Invert::never;
  /// Subtracted from the pixel (or scaled number) 0…255, one per channel or one for all: round(255·mean);
  /// zero padding keeps its meaning.
  std::vector<std::int64_t> offset;
  /// Not empty: the input is a row of numbers, one a channel; then nothing above but shape and offset counts.
  std::vector<InputColumn> columns;
  std::int64_t low = 0, high = 255;  ///< range of the integers after the offset, inclusive
};

/// What the output tensor is.
enum class Answer {
  logits,  ///< one value per class
  label,   ///< one value: twice the index of the class (see arg_max.h)
};

/// A validated network. Build it by filling the public members and calling finish(), or read it with
/// read_network(); both leave it immutable in practice and safe to share between threads.
struct IntegerNetwork {
  std::string name;
  std::string description;  ///< one line: what, trained on what
  InputEncoding encoding;
  std::vector<std::string> labels;  ///< class names, or empty
  bool softmax = true;              ///< logits · scale go through a softmax at the client
  Answer answer = Answer::logits;   ///< not part of a file: only with_arg_max() makes the other
  std::vector<Node> nodes;          ///< first: input; last: output; topological order
  /// Free facts for reports (accuracy, training data, tool version): string pairs, carried in the file.
  std::vector<std::pair<std::string, std::string>> facts;

  /// Checks everything (topology, shapes, weight counts, multipliers, names) and computes the bounds. What
  /// was left out is filled in: shapes (channels = 0), zero biases, multipliers and scales of 1, an input
  /// offset of 0. Every node but the output must have a reader. May be called again after a change.
  /// @throws InputError "model.*" that names the node and what was expected
  void finish();

  const Node& input() const { return nodes.front(); }
  const Node& output() const { return nodes.back(); }
  std::optional<std::size_t> find(std::string_view node_name) const;
  std::uint64_t weights() const;
  std::uint64_t nonzeros() const;
  /// Rounds somewhere, or computes in a ring narrower than its exact values.
  bool is_requantised() const;
  /// SHA-256 over the file form without `facts`: names exactly this function. Hexadecimal.
  std::string config_id() const;
};

/// Largest tensor, window, node count and weight count a network may have; a reader refuses more before it
/// allocates.
struct Limits {
  static constexpr std::size_t kNodes = 4096;
  static constexpr std::int64_t kTensorSize = std::int64_t{1} << 28;
  static constexpr std::int64_t kChannels = std::int64_t{1} << 20;
  static constexpr std::int64_t kExtent = std::int64_t{1}
                                          << 16;  ///< height, width, and each part of a window
  static constexpr std::int64_t kWeights = std::int64_t{1} << 29;  ///< of all nodes together
  static constexpr std::size_t kOperands = 64;
  static constexpr std::int64_t kOffset = std::int64_t{1} << 32;  ///< of the input encoding, in magnitude
  static constexpr std::size_t kNameBytes = 256;
  static constexpr std::size_t kTextBytes = 4096;  ///< description, a label, a fact
  static constexpr std::size_t kFacts = 1024;
  static constexpr std::size_t kColumns = 4096;  ///< of a table
  static constexpr unsigned kValueBits = 4000;
  static constexpr std::int64_t kShift = 40;  ///< of a rescale
  static constexpr unsigned kRingBits = 60;   ///< of a node's ring, and of what a rescale takes
  static constexpr std::size_t kBoundWords = std::size_t{1} << 24;  ///< 64-bit words of all bounds together
};

}  // namespace popcorn::models
