// Removing nodes from a float graph.
#pragma once

#include "compress/float_graph.h"

namespace popcorn::compress {

/// Removes every node that `output` does not depend on (the input node always stays); `output` becomes the
/// last.
void keep_ancestors(FloatGraph& graph, std::size_t output);

/// Removes a node of one operand; its readers read that operand instead.
void bypass(FloatGraph& graph, std::size_t index);

}  // namespace popcorn::compress
