#include <gmp.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/bench/commands/bench_commands.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

/// Three significant digits of a number in [1, 1000).
std::string three_digits(double number) {
  return fixed(number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0);
}

}  // namespace

void add_timing(nlohmann::ordered_json& object, const std::string& name, const Timing& timing) {
  object[name] = timing.median;
  object[name + "_min"] = timing.minimum;
  object[name + "_max"] = timing.maximum;
}

std::string benchmark_conditions() {
  return machine_description() + "; GMP " + gmp_version;
}

std::string short_seconds(double seconds) {
  if (seconds < 0.9995e-6) return three_digits(seconds * 1e9) + " ns";
  if (seconds < 0.9995e-3) return three_digits(seconds * 1e6) + " µs";
  if (seconds < 0.9995) return three_digits(seconds * 1e3) + " ms";
  return three_digits(seconds) + " s";
}

std::string ratio_text(double ratio) {
  return fixed(ratio, ratio < 99.95 ? 1 : 0) + "×";
}

}  // namespace popcorn::cli
