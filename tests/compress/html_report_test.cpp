// The HTML report: well-formed, self-contained, with the JSON report's numbers, whatever the layers are
// called.
#include "cli/compress_module/html_report.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/report/svg_chart.h"
#include "tests/support/random_network.h"
#include "tests/support/xml_reader.h"

using namespace popcorn;
using namespace popcorn::compress;
using test::attribute;
using test::Element;
using test::XmlReader;

namespace {

/// A report of a random network with the traces of a run.
CompressionReport random_report(test::SeededRng& rng, const std::vector<std::string>& names) {
  CompressionResult result;
  result.network = test::random_network(rng);
  for (std::size_t i = 0; i < std::min(names.size(), result.network.nodes.size()); ++i)
    result.network.nodes[i].name = names[i];
  result.network.finish();
  result.uncompressed = result.network;
  for (models::Node& node : result.uncompressed.nodes) {
    for (std::int32_t& w : node.weights) w = 127;
  }
  result.uncompressed.finish();
  result.test_images = 1000;
  result.float_accuracy = 0.987;
  result.pruned_accuracy = 0.91;
  result.integer_accuracy = 1.0 / 3;
  result.points = {{"float", 0, 1, 32, 0.987},    {"prune", 1, 0.6, 32, 0.95},
                   {"prune", 2, 0.25, 32, 0.9},   {"pruned", 0, 0.25, 32, 0.91},
                   {"quantise", 1, 0.25, 4, 0.3}, {"integer", 0, 0.21, 4, 1.0 / 3}};
  return make_report(result, 4321);
}

}  // namespace

TEST_CASE("the HTML report is well-formed and needs nothing from outside") {
  test::SeededRng rng(91);
  for (int round = 0; round < 10; ++round) {
    const std::string html = cli::report_html(random_report(rng, {}));
    CHECK(test::plots_of_self_contained_page(html) >= 5);
  }
}

TEST_CASE("the HTML report has the numbers of the JSON report") {
  test::SeededRng rng(92);
  for (int round = 0; round < 10; ++round) {
    const CompressionReport report = random_report(rng, {});
    const auto json = nlohmann::json::parse(report_json(report));
    std::vector<std::pair<std::string, std::string>> expected, found;
    const auto expect = [&](const nlohmann::json& object, const std::vector<std::string>& keys) {
      for (const std::string& key : keys) {
        if (object.contains(key)) expected.emplace_back(key, object[key].dump());
      }
    };
    const std::vector<std::string> cost = {
        "multiplications_before",  "multiplications",  "ciphertexts_up_before", "ciphertexts_up",
        "ciphertexts_down_before", "ciphertexts_down", "bytes_up_before",       "bytes_up",
        "bytes_down_before",       "bytes_down"};
    for (const auto& layer : json["layers"]) {
      expect(layer, {"weights", "nonzeros", "density", "bits", "magnitudes", "bound_bits"});
      expect(layer, cost);
    }
    expect(json, {"weights", "nonzeros", "density", "weight_bits"});
    expect(json, cost);
    for (const auto& point : json["points"]) expect(point, {"epoch", "density", "bits", "accuracy"});
    const std::string html = cli::report_html(report);
    for (const Element& element : XmlReader(html).elements) {
      const std::string key = attribute(element, "data-key");
      if (!key.empty()) found.emplace_back(key, attribute(element, "data-value"));
    }
    CHECK(found == expected);
    CHECK(json["points"].size() == 6);
    for (const auto& layer : json["layers"]) {
      std::uint64_t sum = 0;
      if (!layer.contains("histogram")) continue;
      for (const auto& bar : layer["histogram"]) sum += bar[1].get<std::uint64_t>();
      CHECK(sum == layer["weights"]);
    }
  }
}

TEST_CASE("hostile layer names stay text") {
  test::SeededRng rng(93);
  const std::vector<std::string> names = {"<script>alert(1)</script>",
                                          "\"><svg onload=alert(1)>",
                                          "a' onmouseover='x",
                                          "&lt;&amp;",
                                          "</title></style>",
                                          std::string(256, '<'),
                                          "]]>"};
  const CompressionReport report = random_report(rng, names);
  const std::string html = cli::report_html(report);
  const XmlReader xml(html);
  for (const Element& element : xml.elements) {
    CHECK(element.name != "script");
    for (const auto& [key, value] : element.attributes) CHECK(key.rfind("on", 0) != 0);
  }
  std::size_t shown = 0;
  for (const LayerReport& layer : report.layers) {
    INFO(layer.name);
    CHECK(xml.text.find(layer.name) != std::string::npos);
    shown += static_cast<std::size_t>(std::count(names.begin(), names.end(), layer.name));
  }
  CHECK(shown >= 5);  // the report leaves out nodes that only reshape
}

TEST_CASE("plots take the extremes") {
  const std::string one = cli::xy_plot({{0, 1, 0, "x"}}, {-0.5, 0.5, {{0, "float"}}}, "bits", "one point");
  const std::string flat = cli::xy_plot({{0, 0, 0, ""}, {1, 0, 0, ""}}, {}, "", "zeros");
  const std::string none = cli::xy_plot({}, {}, "", "nothing");
  const std::string rows =
      cli::before_after_plot({{"zero", 0, 0}, {"one", 1, 0}, {"most", UINT64_MAX, 1}}, "rows");
  const std::string empty_rows = cli::before_after_plot({}, "no rows");
  const std::string zeros = cli::histogram_plot({{0, 10}}, "all zero");
  const std::string wide = cli::histogram_plot({{-2147483647, 1}, {5, 7}}, "wide");
  for (const std::string& svg : {one, flat, none, rows, empty_rows, zeros, wide}) {
    INFO(svg);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    const std::string page = "<!DOCTYPE html>" + svg;
    CHECK(XmlReader(page).elements.front().name == "svg");
  }
  CHECK(cli::percent_axis({{0, 0.97, 0, ""}, {0, 0.991, 0, ""}}).ticks.size() <= 7);
}
