// How much a network's predictions depend on each output of each layer.
#pragma once

#include <atomic>
#include <vector>

#include "compress/dataset.h"
#include "compress/float_graph.h"

namespace popcorn::compress {

/// Per node (empty where it has no weights) and output channel: the mean over pictures of Σ (∂ log p(y) /
/// ∂z)² over all places of the channel's outputs z before what follows, where class y is drawn from the
/// network's own softmax p: the diagonal of the Fisher information of z. Small independent errors of mean
/// square e at every place change the predictions by a Kullback–Leibler divergence of about half of Σ
/// sensitivity · e (Theis et al. 2018 use it for pruning). The outputs of the last layer get their mean: a
/// few hundred pictures show too few of the classes. Of a network that is surer of its classes than 0.9 on
/// average, p is softened by a temperature until it is not. Labels are not used. The same pictures give the
/// same numbers. Cost: two passes of the pictures forwards and one backwards, in batches.
/// @param graph without batch-norm @param stop may be null @throws Interrupted
std::vector<std::vector<double>> output_sensitivities(const FloatGraph& graph, const Dataset& pictures,
                                                      const std::atomic<bool>* stop = nullptr);

}  // namespace popcorn::compress
