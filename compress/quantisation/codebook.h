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
/// starts) and rounds these to integers. The largest is the smallest at most `limit` with which the squared
/// error is within 2 % of that of the unrounded values, since a weighted sum costs a multiplication for every
/// unit of it. Fewer values come out where weights are fewer or round to the same. Cost: about 100 passes
/// over the weights, and a pass for each integer tried as the largest.
Codebook integer_codebook(const std::vector<double>& weights, std::size_t magnitudes,
                          std::int32_t limit = 127);

/// Whether the non-zero weights take at most `values` values, and far fewer than there are weights: those of
/// a layer that was clustered elsewhere.
bool is_clustered(const std::vector<float>& weights, std::size_t values);

}  // namespace popcorn::compress
