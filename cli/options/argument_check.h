// POPCORN_CHECK_ARGUMENTS=1: command lines are parsed and nothing else, for scripts and documents that want
// theirs checked.
#pragma once

#include <cstdlib>
#include <string_view>

namespace popcorn::cli {

/// Whether a command whose arguments are in order must end there, with exit code 0.
inline bool only_checks_arguments() {
  const char* const variable = std::getenv("POPCORN_CHECK_ARGUMENTS");
  return variable != nullptr && std::string_view(variable) == "1";
}

}  // namespace popcorn::cli
