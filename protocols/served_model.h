// Inside of ServedModel, for the sources of this folder only.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/linear_layer.h"
#include "protocols/session.h"
#include "protocols/tournament.h"

namespace popcorn::protocols {

/// What one node needs at run time.
struct NodePlan {
  std::unique_ptr<const LinearLayer> linear;     ///< dense, conv2d, sum_pool2d, add, concat
  std::unique_ptr<const Tournament> tournament;  ///< max_pool2d
  std::size_t last_reader = 0;                   ///< the node after which its tensor is not needed any more
};

struct ServedModel::Parts {
  models::IntegerNetwork network;
  ClientBundle bundle;
  std::vector<Step> steps;  ///< with nodes, unlike the bundle's
  std::vector<NodePlan> nodes;
};

}  // namespace popcorn::protocols
