// What README and docs/ say to type is typed: every shell block, one file after the other, in a temporary
// folder beside links to the project's.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <regex>

#include "tests/cli/command_line.h"
#include "tests/docs/markdown.h"
#include "tests/docs/shell_script.h"
#include "tests/support/data_folder.h"

namespace popcorn::test {

namespace fs = std::filesystem;

namespace {

/// Sections of the README that readme_test.cpp runs, and looks at more closely.
bool has_own_test(const Markdown& file, const MarkdownBlock& block) {
  return file.path == "README.md" &&
         (block.heading == "### With curl" || block.heading == "### Rows of numbers");
}

std::vector<fs::path> documents() {
  std::vector<fs::path> files = {"README.md"};
  for (const fs::path& file : markdown_files()) {
    if (file.parent_path() == "docs") files.push_back(file);
  }
  return files;
}

bool says(const std::vector<MarkdownBlock>& blocks, const std::string& what) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const MarkdownBlock& block) { return block.text.find(what) != std::string::npos; });
}

/// Whether what the blocks need is here; says loudly what is not.
bool can_run(const fs::path& file, const std::vector<MarkdownBlock>& blocks) {
  const bool compresses = says(blocks, "popcorn train") || says(blocks, "popcorn compress");
  if (compresses && !has_compression()) {
    std::cerr << "SKIPPED: the commands of " << file.string()
              << ": this build has no compression toolchain\n";
    return false;
  }
  return !says(blocks, "--data data") || data_file("mnist").has_value();
}

std::vector<MarkdownBlock> blocks_to_run(const Markdown& file) {
  std::vector<MarkdownBlock> blocks;
  for (const MarkdownBlock& block : file.blocks) {
    if (block.language == "sh" && block.not_run.empty() && !has_own_test(file, block))
      blocks.push_back(block);
  }
  return blocks;
}

}  // namespace

TEST_CASE("Every shell block of README and docs/ runs", "[documentation]") {
  std::size_t run = 0;
  for (const fs::path& path : documents()) {
    const std::vector<MarkdownBlock> blocks = blocks_to_run(read_markdown(path));
    if (blocks.empty() || !can_run(path, blocks)) continue;
    const ProjectFolder folder;
    ShellScript script(folder.path());
    for (const MarkdownBlock& block : blocks) script.add(block.text);
    const ProcessResult result = script.run();
    INFO(path.string());
    INFO(result.out);
    INFO(result.err);
    CHECK(result.exit_code == 0);
    const std::map<std::string, std::vector<std::string>> promised = {
        {"docs/tutorial.md",
         {"encrypted and plaintext results are equal, bit for bit", "serving digits digits.label at",
          "2 made now", "new_applicants.csv:6", "standard input:1", "4_1.png equal", "4_2.png equal"}},
        {"docs/rest-api.md", {R"("engine":"shares","state":"active","rounds":18,"next_round":0)"}},
        {"docs/model-format.md", {"mnist-mlp version 1", "dense fc3 [10, 1, 1]"}}};
    if (const auto found = promised.find(path.string()); found != promised.end()) {
      for (const std::string& text : found->second) CHECK_THAT(result.out, Catch::Contains(text));
      CHECK_THAT(result.out, !Catch::Contains("DIFFERENT"));
    }
    run += blocks.size();
  }
  CHECK(run >= 5);
}

TEST_CASE("A block that is not run says why, and is not one of many", "[documentation]") {
  std::size_t left_out = 0;
  for (const fs::path& path : documents()) {
    for (const MarkdownBlock& block : read_markdown(path).blocks)
      left_out += block.language == "sh" && !block.not_run.empty() ? 1 : 0;
  }
  CHECK(left_out <= 10);
}

}  // namespace popcorn::test
