// What the server keeps ready to run a network on ciphertexts.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "protocols/ciphertext/steps/linear_layer.h"
#include "protocols/engine.h"
#include "protocols/plan/steps.h"
#include "protocols/plan/tournament.h"

namespace popcorn::protocols {

/// What one node needs at run time.
struct NodePlan {
  std::unique_ptr<const LinearLayer> linear;     ///< dense, conv2d, sum_pool2d, add, concat
  std::unique_ptr<const Tournament> tournament;  ///< max_pool2d
  std::size_t last_reader = 0;                   ///< the node after which its tensor is not needed any more
};

struct CiphertextNetwork final : PreparedNetwork {
  /// @param chunk most comparisons of one step. @throws InputError "model.*"
  CiphertextNetwork(const models::IntegerNetwork& planned, std::uint64_t chunk);

  const models::IntegerNetwork& network;
  std::vector<Step> steps;  ///< with nodes, unlike the bundle's
  std::vector<NodePlan> nodes;
};

}  // namespace popcorn::protocols
