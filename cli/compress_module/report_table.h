// The report of a compression for a person.
#pragma once

#include <iosfwd>

#include "compress/report.h"

namespace popcorn::cli {

void print_report(std::ostream& out, const compress::CompressionReport& report);

}  // namespace popcorn::cli
