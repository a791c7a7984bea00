// The report of a compression as one HTML file.
#pragma once

#include <string>

#include "compress/report.h"

namespace popcorn::cli {

/// A complete page that needs nothing else: no scripts, no external resources, plots as inline SVG, light and
/// dark by the reader's preference, readable on a phone. It is well-formed XML. Every number of the tables
/// stands in an attribute data-value too, as the JSON report has it.
std::string report_html(const compress::CompressionReport& report);

}  // namespace popcorn::cli
