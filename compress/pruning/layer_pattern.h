// Choosing layers by name: an exact name, or a prefix followed by *.
#pragma once

#include <string>

#include "compress/float_graph.h"

namespace popcorn::compress {

bool matches(const std::string& pattern, const std::string& name);

/// @throws UsageError "layer.unknown" when no layer with weights matches
void require_match(const FloatGraph& graph, const std::string& pattern);

}  // namespace popcorn::compress
