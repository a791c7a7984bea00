// What measurements of whole inferences in this process share.
#pragma once

#include "base/wide_vector.h"
#include "models/network/integer_network.h"

namespace popcorn::cli {

/// User and system time of this process so far, all threads.
double processor_seconds();
/// Values uniform over the encoding's range.
WideVector random_input(const models::InputEncoding& encoding);

}  // namespace popcorn::cli
