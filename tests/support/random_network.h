// Random small networks with every node kind, for property tests of whatever evaluates or stores a network.
#pragma once

#include "models/network/integer_network.h"
#include "tests/support/seeded_rng.h"

namespace popcorn::test {

struct RandomNetworkOptions {
  std::size_t nodes = 10;           ///< between the input and the final flatten, concat, dense, output
  std::int64_t max_channels = 4;    ///< of the input and of each convolution
  std::int64_t max_extent = 7;      ///< height and width of the input
  std::int32_t max_weight = 7;      ///< weights lie in [-max_weight, max_weight]
  unsigned nonzero_percent = 50;    ///< how many weights are not pruned
  std::int64_t max_multiplier = 3;  ///< of add and concat
  /// Weighted layers in rings of 8 to 24 bits, some other nodes too: for a network with rescales.
  bool rings = false;
  unsigned bias_bits = 10;  ///< biases lie in (-2^bits, 2^bits)
  /// What may occur between input and output. Kinds that fit no tensor at hand are passed over.
  std::vector<models::NodeKind> kinds = {
      models::NodeKind::dense,      models::NodeKind::conv2d, models::NodeKind::sum_pool2d,
      models::NodeKind::max_pool2d, models::NodeKind::relu,   models::NodeKind::sign,
      models::NodeKind::add,        models::NodeKind::concat, models::NodeKind::flatten};
};

/// Requantised networks: `kinds` has rescale (with and without ReLU), `rings` is set.
RandomNetworkOptions requantised_options();

/// A finished network. Windows have random stride, padding, dilation and groups (also depthwise); pools
/// overlap.
models::IntegerNetwork random_network(SeededRng& rng, const RandomNetworkOptions& options = {});

/// Widens rings until no value of this input is beyond what its node and the steps behind it take: then
/// inference on shares is exact. Gives false when they would be wider than 24 bits.
bool fit_rings(models::IntegerNetwork& network, const WideVector& input);

/// An input within the network's range: uniform values mixed with the ends of the range and zeros.
WideVector random_input(SeededRng& rng, const models::IntegerNetwork& network);

}  // namespace popcorn::test
