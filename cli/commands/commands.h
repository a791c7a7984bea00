// The subcommands of popcorn. Each add_*_command() registers one with its options and help; when it was
// chosen on the command line it sets `chosen` to what runs it and returns the exit code.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace popcorn::cli {

using Action = std::function<int()>;

void add_keygen_command(CLI::App& app, Action& chosen);
void add_serve_command(CLI::App& app, Action& chosen);
void add_infer_command(CLI::App& app, Action& chosen);
void add_prepare_command(CLI::App& app, Action& chosen);
void add_stock_command(CLI::App& app, Action& chosen);
void add_evaluate_command(CLI::App& app, Action& chosen);
void add_inspect_command(CLI::App& app, Action& chosen);
void add_compare_command(CLI::App& app, Action& chosen);
void add_verify_command(CLI::App& app, Action& chosen);
void add_demo_command(CLI::App& app, Action& chosen);
void add_bench_command(CLI::App& app, Action& chosen);
void add_doctor_command(CLI::App& app, Action& chosen);
void add_version_command(CLI::App& app, Action& chosen);
void add_man_command(CLI::App& app, Action& chosen);
void add_completion_command(CLI::App& app, Action& chosen);

/// `popcorn complete WORD…`, for the shells' scripts only (see cli/manual/).
int print_completion(CLI::App& app, const std::vector<std::string>& words);

/// train, compress, export.
bool is_compress_command(std::string_view name);
/// Only their help lines: run_compress_module() takes them before the command line is parsed.
void list_compress_commands(CLI::App& app);
/// Puts the module's commands with all their options in the place of the listed ones. Without a module it
/// does nothing and returns false. @throws Error "compress.load"
bool describe_compress_commands(CLI::App& app);

/// `popcorn train …` and `popcorn compress …`: handed to the compression module, which is loaded only here
/// because LibTorch takes a third of a second to start. `arguments[0]` is the subcommand; all others are
/// passed untouched.
/// @throws Error "compress.absent" when this build has no module
int run_compress_module(int count, const char* const* arguments);

}  // namespace popcorn::cli
