// A strict reader of Prometheus' text exposition format, version 0.0.4.
#pragma once

#include <map>
#include <string>

namespace popcorn::test {

/// The values by series, as written: "name" or "name{label=\"value\",…}".
///
/// Stricter than a Prometheus server: every family has one HELP and one TYPE line, HELP first, and all its
/// samples right after them; no series comes twice; label values are escaped; counters, and only they, end in
/// "_total" and are not negative; the buckets of a histogram are in ascending order, do not decrease, end
/// with le="+Inf" and agree with its _count, and it has a _sum.
/// @throws std::runtime_error that quotes the line
std::map<std::string, double> parse_prometheus_text(const std::string& text);

}  // namespace popcorn::test
