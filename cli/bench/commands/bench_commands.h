// The parts of `popcorn bench`, one a source file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/bench/sampling.h"
#include "cli/commands/commands.h"

namespace popcorn::cli {

void add_bench_paillier_command(CLI::App& bench, Action& chosen);
void add_bench_linear_command(CLI::App& bench, Action& chosen);
void add_bench_network_command(CLI::App& bench, Action& chosen);
void add_bench_transfers_command(CLI::App& bench, Action& chosen);
void add_bench_shares_command(CLI::App& bench, Action& chosen);
void add_bench_packed_command(CLI::App& bench, Action& chosen);
/// suite, and report.
void add_bench_suite_command(CLI::App& bench, Action& chosen);

/// Adds "NAME", "NAME_min" and "NAME_max" to a JSON object.
void add_timing(nlohmann::ordered_json& object, const std::string& name, const Timing& timing);
/// "Processor, 2 cores; GMP 6.2.1; times of one core": on what the figures were measured.
std::string benchmark_conditions();
/// "0.352 µs", "48.5 µs", "8.16 ms", "2.34 s": three digits.
std::string short_seconds(double seconds);
/// "12.0×"
std::string ratio_text(double ratio);

}  // namespace popcorn::cli
