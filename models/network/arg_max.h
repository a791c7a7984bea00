// A network that answers with the label alone.
#pragma once

#include "models/network/integer_network.h"

namespace popcorn::models {

/// What a name gets appended: "mnist-conv2" answers with logits, "mnist-conv2.label" with the label.
inline constexpr const char* kLabelSuffix = ".label";

/// The network followed by an arg-max, built of ordinary nodes, so that everything that evaluates, plans or
/// encrypts a network does so with this one too. With n logits x_i and K the power of two ≥ n:
///   z_i = K·x_i + K − 1 − i        all different; the largest belongs to the first largest logit
///   m   = max_i z_i                 a tournament of ⌈log2 n⌉ levels, max(a, b) = b + ReLU(a − b)
///   s_i = sign(z_i − m)             +1 at the winner, −1 elsewhere
///   Σ i·(s_i + 1)                   the output: twice the label
/// n·(1 + 1) comparisons in all, in ⌈log2 n⌉ + 1 steps.
/// @throws InputError "model.arg_max" when the output has fewer than 2 or more than 4096 values, or a scale
/// for each class
IntegerNetwork with_arg_max(IntegerNetwork network);

/// The node whose values are the logits: what the output reads, or, in a network made by with_arg_max(), what
/// its arg-max reads. All nodes of the network without its arg-max stand before or at it, unchanged.
std::size_t logits_node(const IntegerNetwork& network);

}  // namespace popcorn::models
