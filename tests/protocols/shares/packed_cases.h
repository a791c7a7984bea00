// Layers with random weights and shares, and what the carry chain would make of both parties' parts.
#pragma once

#include "protocols/shares/layer/packed_layer.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

struct PackedCase {
  models::Node node;
  protocols::shares::WeightedLayer layer;
};

struct CaseShape {
  models::Shape input;
  std::int64_t outputs = 1;
  std::int64_t groups = 1;
  models::Window window;
  unsigned ring = 16;
};
/// Weights in [−most, most], `zeros` percent of them none.
PackedCase random_case(SeededRng& rng, const CaseShape& shape, std::int32_t most, int zeros);
/// A convolution of any kind: odd extents, strides, paddings, dilations, groups, depthwise.
PackedCase random_convolution(SeededRng& rng);
PackedCase random_dense(SeededRng& rng);

/// Uniform, mixed with the ends of the range.
protocols::ot::Words random_shares(SeededRng& rng, const protocols::shares::WeightedLayer& layer);

/// Words of both parties and their carry, modulo 2^ring.
protocols::ot::Words opened(const protocols::shares::MaskedResult& client,
                            const protocols::shares::MaskedResult& server, unsigned ring);

/// W·c mod 2^w by the definition of a convolution, in the order of the output tensor.
protocols::ot::Words plain_result(const PackedCase& made, const protocols::ot::Words& shares);

}  // namespace popcorn::test
