// Random float graphs for property tests.
#pragma once

#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

struct GraphKinds {
  bool batch_norm = false;
  bool clip = false;
  bool branches = false;  ///< add and concat
  bool average_pool = true;
  bool sign = false;
};

/// A small picture network: a few convolutions with random windows and groups, pools, ReLUs and what `kinds`
/// permits, a flatten and one or two dense layers. Finished.
compress::FloatGraph random_graph(SeededRng& rng, const GraphKinds& kinds = {});

/// One dense layer over a grey picture of this shape. Finished.
/// @param weights row after row, one for each element of `bias`
compress::FloatGraph dense_graph(const models::Shape& shape, std::vector<float> weights,
                                 std::vector<float> bias);

/// `count` pictures of random pixels, all of class 0.
compress::Dataset random_pictures(SeededRng& rng, const models::Shape& shape, std::size_t count);

/// Uniform in [low, high).
float uniform(SeededRng& rng, float low, float high);
std::vector<float> random_floats(SeededRng& rng, std::size_t count, float low = -1, float high = 1);

/// Largest difference, relative to the largest magnitude in `expected` (at least 1e-3).
double relative_difference(const std::vector<float>& found, const std::vector<float>& expected);

}  // namespace popcorn::test
