// What the documents point to exists.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/docs/markdown.h"

namespace popcorn::test {

namespace fs = std::filesystem;

namespace {

bool is_elsewhere(const std::string& target) {
  return target.find("://") != std::string::npos || target.rfind("mailto:", 0) == 0;
}

bool has_anchor(const Markdown& file, const std::string& anchor) {
  return std::find(file.anchors.begin(), file.anchors.end(), anchor) != file.anchors.end();
}

/// Empty, or what is wrong with the link.
std::string problem_of(const Markdown& file, const std::string& target) {
  const std::size_t hash = target.find('#');
  const std::string name = target.substr(0, hash);
  const fs::path path = name.empty() ? file.path : file.path.parent_path() / name;
  if (!fs::exists(path)) return "does not exist";
  if (hash == std::string::npos || path.extension() != ".md") return "";
  return has_anchor(read_markdown(path), target.substr(hash + 1)) ? "" : "has no such heading";
}

}  // namespace

TEST_CASE("Every link and picture of every Markdown file leads to something", "[documentation]") {
  std::size_t links = 0;
  for (const fs::path& path : markdown_files()) {
    const Markdown file = read_markdown(path);
    for (const MarkdownMention& link : file.links) {
      if (is_elsewhere(link.text)) continue;
      INFO(path.string() << ":" << link.line << ": " << link.text);
      CHECK(problem_of(file, link.text) == "");
      ++links;
    }
  }
  CHECK(links >= 50);
}

TEST_CASE("A link to nothing is found", "[documentation]") {
  const Markdown readme = read_markdown("README.md");
  CHECK(problem_of(readme, "docs/no-such-file.md") == "does not exist");
  CHECK(problem_of(readme, "SECURITY.md#no-such-heading") == "has no such heading");
  CHECK(problem_of(readme, "SECURITY.md#correct-use").empty());
}

TEST_CASE("Files named by ALGORITHMS.md exist", "[documentation]") {
  std::size_t files = 0;
  for (const MarkdownMention& span : read_markdown("ALGORITHMS.md").code) {
    if (span.text.find('/') == std::string::npos || span.text.find(' ') != std::string::npos) continue;
    const std::string stem = span.text.substr(0, span.text.find('*'));
    const fs::path folder = fs::path(stem).parent_path();
    INFO("line " << span.line << ": " << span.text);
    REQUIRE(fs::is_directory(folder));
    const auto begins = [&](const fs::directory_entry& entry) {
      return (folder / entry.path().filename()).string().rfind(stem, 0) == 0;
    };
    const bool found = stem.back() == '/' || std::any_of(fs::directory_iterator(folder), {}, begins);
    CHECK(found);
    ++files;
  }
  CHECK(files >= 40);
}

}  // namespace popcorn::test
