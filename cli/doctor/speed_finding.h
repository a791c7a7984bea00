// How fast this machine does what inferences are made of.
#pragma once

#include "cli/doctor/finding.h"

namespace popcorn::cli {

/// Measured for some seconds, all cores at it. With what the figures in docs/performance.md were measured on.
Findings speed_findings();

}  // namespace popcorn::cli
