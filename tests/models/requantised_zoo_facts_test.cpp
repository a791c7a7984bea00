// The shipped requantised forms: what their files and the table of models/README.md say of them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "models/file/popcorn_file.h"
#include "models/file/popcorn_format.h"
#include "models/network/integer_network.h"

using namespace popcorn;
using namespace popcorn::models;

namespace {

std::vector<std::string> shipped_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("models")) {
    if (entry.path().extension() == ".popcorn") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

/// What one network's file says of itself; empty when it says nothing.
std::string fact(const IntegerNetwork& network, const std::string& key) {
  for (const auto& [name, value] : network.facts) {
    if (name == key) return value;
  }
  return {};
}

/// "0.9896" as "98.96 %".
std::string percent(const std::string& share) {
  std::ostringstream text;
  text.setf(std::ios::fixed);
  text.precision(2);
  text << 100 * std::stod(share) << " %";
  return text.str();
}

/// Bits of the widest ring that a value is computed in: a declared one, or the static bound and a sign.
unsigned widest_ring(const IntegerNetwork& network) {
  unsigned widest = 0;
  for (const Node& node : network.nodes) {
    const unsigned bound = static_cast<unsigned>(node.bounds.bits) + 1;
    if (takes_ring(node.kind))
      widest = std::max(widest, node.ring_bits == 0 ? bound : std::min(node.ring_bits, bound));
  }
  return widest;
}

unsigned widest_bound(const IntegerNetwork& network) {
  unsigned widest = 0;
  for (const Node& node : network.nodes) widest = std::max(widest, static_cast<unsigned>(node.bounds.bits));
  return widest;
}

std::string without_commas(std::string text) {
  std::erase(text, ',');
  return text;
}

/// The cells of the table's row that begins with the name, trimmed, after the heading.
std::vector<std::string> table_row(const std::string& heading, const std::string& name) {
  std::ifstream readme("models/README.md");
  std::string line;
  while (std::getline(readme, line) && line != heading) {
  }
  while (std::getline(readme, line) && !line.starts_with("| `" + name + "` |")) {
  }
  std::vector<std::string> cells;
  std::istringstream rest(line);
  for (std::string cell; std::getline(rest, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    if (first != std::string::npos)
      cells.push_back(cell.substr(first, cell.find_last_not_of(' ') - first + 1));
  }
  return cells;
}

}  // namespace

TEST_CASE("every shipped network has a requantised form of its name, as accurate as is promised",
          "[models]") {
  REQUIRE(shipped_names().size() >= 8);
  for (const std::string& name : shipped_names()) {
    INFO(name);
    const IntegerNetwork exact = read_network("models/" + name + ".popcorn");
    const IntegerNetwork form = read_network("models/requantised/" + name + ".popcorn");
    CHECK_FALSE(exact.is_requantised());
    CHECK(form.is_requantised());
    CHECK(form.name == exact.name);
    CHECK(form.encoding.shape == exact.encoding.shape);
    CHECK(form.labels == exact.labels);
    const double lost =
        std::stod(fact(form, "exact_accuracy")) - std::stod(fact(form, "requantised_accuracy"));
    CHECK(lost <= (name.starts_with("mnist") ? 0.002 : 0.005) + 1e-9);
    std::istringstream ranges(fact(form, "beyond_range"));  // "0 of 3940000 values"
    double beyond = -1, values = 0;
    std::string of;
    ranges >> beyond >> of >> values;
    CHECK(beyond >= 0);
    CHECK(beyond <= 1e-7 * values);
  }
}

TEST_CASE("the table of requantised forms says what the files say", "[models]") {
  for (const std::string& name : shipped_names()) {
    INFO(name);
    const IntegerNetwork exact = read_network("models/" + name + ".popcorn");
    const IntegerNetwork form = read_network("models/requantised/" + name + ".popcorn");
    const std::vector<std::string> row = table_row("### Requantised forms", name);
    REQUIRE(row.size() == 7);
    CHECK(row[1] == percent(fact(form, "exact_accuracy")));
    CHECK(row[2] == percent(fact(form, "requantised_accuracy")));
    CHECK(row[4] == std::to_string(widest_bound(exact)));
    CHECK(row[5] == std::to_string(widest_ring(form)));
    CHECK(without_commas(row[6]) + " values" == fact(form, "beyond_range"));
  }
}
