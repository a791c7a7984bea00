// Some values of a layer under encryption, from given plaintext operands: how networks whose whole inference
// takes hours are checked layer by layer. Needs both parties in one process.
#pragma once

#include <cstddef>
#include <vector>

#include "base/wide_vector.h"

namespace popcorn::protocols {

/// Takes nodes in the order of the network. Not thread-safe.
class LayerCheck {
 public:
  virtual ~LayerCheck() = default;
  /// Computes about `count` values of a node as the engine does and compares. @param operands whole tensors
  /// @param expected the node's whole tensor. Returns the number of values compared; 0 for nodes that compute
  /// nothing. @throws CheckError "verify.mismatch" that names node and element
  virtual std::size_t check(std::size_t node, const std::vector<const WideVector*>& operands,
                            const WideVector& expected, std::size_t count) = 0;
};

}  // namespace popcorn::protocols
