#include "compress/pruning/layer_pattern.h"

#include <algorithm>

#include "base/error.h"

namespace popcorn::compress {

bool matches(const std::string& pattern, const std::string& name) {
  if (pattern.empty() || pattern.back() != '*') return pattern == name;
  const std::size_t prefix = pattern.size() - 1;
  return name.compare(0, prefix, pattern, 0, prefix) == 0;
}

void require_match(const FloatGraph& graph, const std::string& pattern) {
  std::string known;
  for (const FloatNode& node : graph.nodes) {
    if (!node.has_weights()) continue;
    if (matches(pattern, node.name)) return;
    known += (known.empty() ? "" : ", ") + node.name;
  }
  throw UsageError("layer.unknown",
                   "no layer with weights is called \"" + pattern + "\"; there are: " + known);
}

}  // namespace popcorn::compress
