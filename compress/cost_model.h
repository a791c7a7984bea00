// What an inference with a network costs under encryption: the exact numbers of the engine, which plans the
// network as a server would. They are what `popcorn inspect --cost` prints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::compress {

/// Homomorphic work and traffic of one inference, or of one node of it.
struct Cost {
  std::uint64_t multiplications = 0;           ///< modulo N², by the server
  std::uint64_t ciphertexts_up = 0;            ///< client to server
  std::uint64_t ciphertexts_down = 0;          ///< server to client
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< message bodies, the sign test's included
  Cost& operator+=(const Cost& other);
};

struct CostSettings {
  unsigned key_bits = 3072;  ///< as `popcorn inspect` without options
  std::string sign_test = "oblivious";
};

struct NetworkCost {
  std::vector<Cost> nodes;  ///< in the order of the network's
  Cost total;
  /// Empty, or why no inference is possible with such a key: then only the multiplications of the linear
  /// nodes are counted.
  std::string problem;
};

/// @param network finished. Takes as long as loading it into a server: seconds for a large one
NetworkCost network_cost(const models::IntegerNetwork& network, const CostSettings& settings = {});

struct LayerPlan {
  std::uint64_t multiplications = 0;
  bool shares_tables = false;  ///< rows share products: the number depends on which weights coincide
};

/// The plan of one dense or conv2d node.
LayerPlan layer_plan(const models::IntegerNetwork& network, std::size_t node);

}  // namespace popcorn::compress
