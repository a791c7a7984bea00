// The scripts through which a shell completes the words of a popcorn command line.
#pragma once

#include <string>
#include <vector>

namespace popcorn::cli {

/// "bash", "zsh", "fish".
std::vector<std::string> completion_shells();
/// @throws UsageError "completion.shell"
const char* completion_script(const std::string& shell);

}  // namespace popcorn::cli
