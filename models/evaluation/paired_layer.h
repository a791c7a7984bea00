// dense and conv2d on small integers: non-zero weights two by two, values of eight inputs side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "models/evaluation/kernels/pair_sums.h"
#include "models/network/integer_network.h"

namespace popcorn::models {

/// One layer, ready to run: weights and values of 16 bits, sums of 32.
class PairedLayer {
 public:
  /// Whether weights and operand fit 16 bits, every partial sum 32, and places in a padded tensor 31.
  static bool fits(const IntegerNetwork& network, std::size_t node);

  /// @param node dense or conv2d that fits
  PairedLayer(const Node& node, const Shape& input);

  /// @param x operand, lanes innermost (Shape::size() · kLanes values) @param y likewise, of the result
  void run(const std::vector<std::int32_t>& x, std::vector<std::int32_t>& y) const;

 private:
  void add_taps(const Node& node, std::int64_t output);
  std::vector<std::int32_t> pairs(const std::vector<std::int32_t>& x) const;

  Shape input_, output_;
  Window window_;
  std::int64_t per_group_, pairs_per_group_, pairs_;  ///< channels and pairs of channels
  std::int64_t height_, width_;                       ///< with the padding that is read
  std::int64_t rows_, columns_;                       ///< of the result; one row where places follow on
  std::vector<kernels::PairTap> taps_;
  std::vector<std::size_t> first_;  ///< taps of output o: [first_[o], first_[o + 1])
  std::vector<std::int32_t> bias_;
};

}  // namespace popcorn::models
