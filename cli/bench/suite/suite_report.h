// A suite as one HTML file: plots and tables.
#pragma once

#include <string>

#include "cli/bench/suite/suite_document.h"

namespace popcorn::cli {

/// A page as html_page() makes them.
std::string suite_report_html(const SuiteDocument& suite);

}  // namespace popcorn::cli
