// The commands of the compression module.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace popcorn::cli {

/// What is known of each without its arguments, for manual pages and completion: run_*() parses by itself.
void add_train_command(CLI::App& program);
void add_compress_command(CLI::App& program);
void add_export_command(CLI::App& program);

/// All take the arguments after the command's name and return the exit code; errors are thrown.
int run_train(const std::vector<std::string>& arguments);
int run_compress(const std::vector<std::string>& arguments);
int run_export(const std::vector<std::string>& arguments);

}  // namespace popcorn::cli
