// How much to prune for a given homomorphic cost.
#pragma once

#include <cstdint>

#include "compress/float_graph.h"
#include "compress/pruning/pruning.h"
#include "compress/quantisation/quantisation.h"

namespace popcorn::compress {

/// The smallest share of zeros (to 2^-12) with which prune() and quantise() under these options, whatever
/// fine-tuning does to the weights that are left, make a network of at most `multiplications` modular
/// multiplications an inference, steps of the sign test included (cost_model.h). Where rows of a layer share
/// products the number depends on the weights themselves; there it is that of the weights as they are now,
/// which fine-tuning can change by some percent. With pruning.cost_exponent = 1 the weights that go first are
/// those with the least score for each multiplication they cost. Own shares of single layers are kept;
/// pruning.sparsity is ignored.
/// @param graph without batch-norm
/// @throws UsageError "cost.target" with the least that can be reached
double sparsity_for_cost(const FloatGraph& graph, const PruningOptions& pruning,
                         const QuantisationOptions& quantisation, std::uint64_t multiplications);

}  // namespace popcorn::compress
