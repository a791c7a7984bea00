// What this machine has that inferences need.
#pragma once

#include <cstdint>
#include <string>

#include "cli/doctor/finding.h"

namespace popcorn::cli {

/// Processor and kernels with their self-tests, memory, open files, clock, libraries, what is installed
/// beside the executable, the data sets' folder (`data`, if any).
Findings machine_findings(const std::string& data);

/// Whether a server could listen on the port of the loopback address. @param port 0 asks nothing
Findings port_finding(std::uint16_t port);

}  // namespace popcorn::cli
