// Shapes of a network's nodes, checked without ever overflowing on hostile numbers.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::models {

/// "node 'conv1' (conv2d)": how every message names a node.
std::string describe(const Node& node);

/// Checks the number of operands, the window, the groups, the multipliers and the weight count of
/// nodes[index], whose operands are finished, and fills in its shape (or compares the one given) and what may
/// be left out.
/// @throws InputError "model.*" that names the node
void infer_node(IntegerNetwork& network, std::size_t index);

/// Within Limits and positive. @throws InputError "model.shape"
void check_shape(const std::string& what, const Shape& shape);

}  // namespace popcorn::models
