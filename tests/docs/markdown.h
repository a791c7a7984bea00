// What tests want of a Markdown file: its fenced blocks, its links, its spans of code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace popcorn::test {

/// A fenced block.
struct MarkdownBlock {
  std::string language;
  std::string text;     ///< its lines, each with its newline
  std::string heading;  ///< the line of the heading that it stands under, marks included
  std::size_t line = 0;
  /// Why tests do not run it: of a comment `<!-- not run by the tests: REASON -->` before it; else empty.
  std::string not_run;
};

/// What a file names outside of its blocks.
struct MarkdownMention {
  std::string text;
  std::size_t line = 0;
};

struct Markdown {
  std::filesystem::path path;
  std::vector<MarkdownBlock> blocks;
  std::vector<MarkdownMention> links;  ///< targets, of pictures too
  std::vector<MarkdownMention> code;   ///< spans between backticks, and indented lines
  std::vector<std::string> anchors;    ///< of headings, as GitHub makes them
};

Markdown read_markdown(const std::filesystem::path& path);

/// All Markdown files of the project but those of build folders; sorted.
std::vector<std::filesystem::path> markdown_files();

/// Lines of a text; a line that ends with a backslash goes on in the next one.
std::vector<std::string> shell_lines(const std::string& text);

}  // namespace popcorn::test
