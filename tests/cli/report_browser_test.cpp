// The suite's report as a browser shows it.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "cli/bench/suite/suite_document.h"
#include "cli/bench/suite/suite_report.h"
#include "models/datasets/image_reading.h"
#include "tests/support/browser.h"
#include "tests/support/process.h"

using namespace popcorn;

namespace {

std::string shipped_report() {
  const cli::SuiteDocument suite(nlohmann::ordered_json::parse(read_text_file("docs/results/suite.json")));
  return cli::suite_report_html(suite);
}

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++count;
  return count;
}

/// Mean of the colours of the picture's left edge, which is the page's.
double brightness_of_edge(const models::Image& image) {
  const auto height = static_cast<std::size_t>(image.height), width = static_cast<std::size_t>(image.width);
  double sum = 0;
  for (std::size_t row = 0; row < height; ++row) {
    for (std::size_t c = 0; c < 3; ++c) sum += image.samples[row * width * 3 + c];
  }
  return sum / static_cast<double>(3 * height);
}

}  // namespace

TEST_CASE("a browser draws the report's plots, light and dark", "[suite][browser]") {
  const auto browser = test::Browser::find();
  if (!browser) return;
  const test::TemporaryFolder folder;
  const std::string html = shipped_report();
  write_file(folder.path("report.html"), as_bytes(html));
  const std::string document = browser->document(folder.path("report.html"), 1200);
  CHECK(occurrences(document, "</svg>") == occurrences(html, "</svg>"));
  CHECK(occurrences(document, "<tr>") == occurrences(html, "<tr>"));
  for (const bool dark : {false, true}) {
    browser->photograph(folder.path("report.html"), 1200, 900, dark, folder.path("picture.png"));
    const models::Image picture = datasets::read_image(folder.path("picture.png"));
    REQUIRE(picture.channels == 3);
    REQUIRE(picture.width == 1200);
    CHECK(brightness_of_edge(picture) == Approx(dark ? 23 : 247).margin(4));
  }
}

TEST_CASE("the report fits a narrow screen", "[suite][browser]") {
  const auto browser = test::Browser::find();
  if (!browser) return;
  const test::TemporaryFolder folder;
  std::string html = shipped_report();
  // A script that measures the page, in a copy that permits it.
  const std::size_t policy = html.find("<meta http-equiv");
  html.erase(policy, html.find("/>", policy) + 2 - policy);
  html.insert(
      html.find("</body>"),
      "<script>document.title = document.documentElement.scrollWidth <= innerWidth ? 'it fits' : 'too "
      "wide';</script>");
  write_file(folder.path("report.html"), as_bytes(html));
  CHECK_THAT(browser->document(folder.path("report.html"), 500), Catch::Contains("<title>it fits</title>"));
}
