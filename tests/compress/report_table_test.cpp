// What the report of a compression says to a person about its figures.
#include "cli/compress_module/report_table.h"

#include <catch2/catch.hpp>
#include <sstream>

using namespace popcorn;

namespace {

std::string printed(const compress::CompressionReport& report) {
  std::ostringstream out;
  cli::print_report(out, report);
  return out.str();
}

}  // namespace

TEST_CASE("A report doubts a float network that only guesses") {
  compress::CompressionReport report;
  report.classes = 10;
  report.test_images = 500;
  report.float_accuracy = 0.11;
  CHECK_THAT(printed(report),
             Catch::Contains("hardly does better than guessing") && Catch::Contains("--mean"));
  report.float_accuracy = 0.6;
  CHECK_THAT(printed(report), !Catch::Contains("Warning"));
  report.float_accuracy = 0.11;
  report.test_images = 20;
  CHECK_THAT(printed(report), !Catch::Contains("Warning"));
}

TEST_CASE("A report says what to do about values beyond their range") {
  compress::CompressionReport report;
  report.shares.emplace();
  report.classes = 10;
  report.range_values = 1000;
  report.beyond_range = 3;
  CHECK_THAT(printed(report),
             Catch::Contains("3 of 1,000 values") && Catch::Contains("--calibration-images"));
  report.beyond_range = 0;
  CHECK_THAT(printed(report), !Catch::Contains("Warning"));
}
