// Codebooks: a few integer magnitudes that suit the weights of a layer (Han, Mao, Dally 2016).
#pragma once

#include <cstdint>
#include <vector>

namespace popcorn::compress {

struct Codebook {
  std::vector<std::int32_t> values;  ///< ascending: zero, and every magnitude with both signs
  double unit = 1;                   ///< real value of 1
};

/// Clusters |w| of the non-zero weights into `magnitudes` values (Lloyd's algorithm from three evenly spread
/// starts) and rounds these to integers. The largest is the smallest at most 127 with which the squared error
/// is within 2 % of that of the unrounded values, since a weighted sum costs a multiplication for every unit
/// of it. Fewer values come out where weights are fewer or round to the same. Cost: about 100 passes over the
/// weights.
Codebook integer_codebook(const std::vector<double>& weights, std::size_t magnitudes);

}  // namespace popcorn::compress
