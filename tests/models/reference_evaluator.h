// A second evaluator, written straight from the definitions of the node kinds with NTL::ZZ: slow and plain.
#pragma once

#include <NTL/ZZ.h>

#include <vector>

#include "models/network/integer_network.h"

namespace popcorn::test {

NTL::ZZ to_zz(const WideVector& values, std::size_t place);
std::vector<NTL::ZZ> to_zz(const WideVector& values);

/// All node outputs in node order. Looks at nothing but the graph and the weights: no bounds, no widths.
std::vector<std::vector<NTL::ZZ>> reference_outputs(const models::IntegerNetwork& network,
                                                    const WideVector& input);

}  // namespace popcorn::test
