// The commands of the compression module.
#pragma once

#include <string>
#include <vector>

namespace popcorn::cli {

/// All take the arguments after the command's name and return the exit code; errors are thrown.
int run_train(const std::vector<std::string>& arguments);
int run_compress(const std::vector<std::string>& arguments);
int run_export(const std::vector<std::string>& arguments);

}  // namespace popcorn::cli
