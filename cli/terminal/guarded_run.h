// How a command ends: every exception becomes one sentence on standard error and an exit code, here and
// nowhere else.
#pragma once

#include <functional>

namespace popcorn::cli {

inline constexpr int kUsageExitCode = 2;

/// What run() returns, unless the output could not be written (4), it threw an Error (its own code, or
/// kInterruptedExitCode after Ctrl-C) or anything else (1). Throws nothing.
int run_guarded(const std::function<int()>& run);
/// Says that the work was interrupted, and returns kInterruptedExitCode.
int say_interrupted();

}  // namespace popcorn::cli
