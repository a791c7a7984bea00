// One measurement: a command of this program in a process of its own, so that its peak memory and its threads
// are its own.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/bench/suite/suite_plan.h"

namespace popcorn::cli {

struct CellRun {
  nlohmann::ordered_json report;  ///< what the command printed
  double seconds = 0;             ///< wall, of the whole process
  /// Processor time of all else on this machine, as a share of what its cores could do in those seconds.
  double busy_elsewhere = 0;
};

/// @throws Error "suite.cell" when the command fails or prints no JSON
CellRun run_cell(const SuiteCell& cell);

}  // namespace popcorn::cli
