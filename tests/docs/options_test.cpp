// Commands and options that the documents name are those of the program.
#include <catch2/catch.hpp>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cli/command_line.h"
#include "tests/docs/markdown.h"

namespace popcorn::test {

namespace {

using Words = std::vector<std::string>;

/// The options of every command, by its words ("bench network"), as its help lists them.
std::map<std::string, std::set<std::string>> options_of_commands() {
  static const std::regex option("--[a-z][a-z0-9-]*");
  std::map<std::string, std::set<std::string>> options;
  for (const auto& [command, text] : commands_below({})) {
    std::set<std::string>& own = options[joined(command)];
    std::istringstream help(text);
    for (std::string line; std::getline(help, line);) {
      const std::size_t first = line.find_first_not_of(' ');
      if (first == std::string::npos || line[first] != '-') continue;
      // Names stand before the first double blank, what they are for behind it.
      const std::string names = line.substr(first, line.find("  ", first) - first);
      for (std::sregex_iterator at(names.begin(), names.end(), option), end; at != end; ++at)
        own.insert(at->str());
    }
  }
  return options;
}

Words words_of(const std::string& text) {
  Words words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// Calls check(command, option) for all that a piece of text says of `popcorn COMMAND … --option …`.
template <typename Check>
void for_each_option(const std::string& text, const std::map<std::string, std::set<std::string>>& known,
                     const Check& check) {
  static const std::regex option("^\\[?(--[a-z][a-z0-9-]*)");
  std::string command;
  bool is_command = false;
  Words before;
  for (const std::string& word : words_of(text)) {
    if (word == "popcorn" || word == "build/popcorn") {
      command.clear();
      is_command = true;
    } else if (word == "|" || word == "&&" || word == "||" || word == ";") {
      is_command = false;
    } else if (is_command) {
      const std::string longer = command.empty() ? word : command + " " + word;
      std::smatch found;
      if (known.count(longer) != 0) {
        command = longer;
      } else if (std::regex_search(word, found, option) && word != "--help") {
        check(command, found[1].str());
      }
    }
  }
}

}  // namespace

TEST_CASE("Every option that a document names behind a command is one of that command", "[documentation]") {
  const auto known = options_of_commands();
  REQUIRE(known.count("bench network") == 1);
  REQUIRE(known.at("serve").count("--tls-key") == 1);
  std::size_t named = 0;
  for (const std::filesystem::path& path : markdown_files()) {
    const Markdown file = read_markdown(path);
    std::vector<MarkdownMention> texts = file.code;
    for (const MarkdownBlock& block : file.blocks) {
      for (const std::string& line : shell_lines(block.text)) texts.push_back({line, block.line});
    }
    for (const MarkdownMention& text : texts) {
      for_each_option(text.text, known, [&](const std::string& command, const std::string& option) {
        const bool of_module = command == "train" || command == "compress" || command == "export";
        if (of_module && !has_compression()) return;
        INFO(path.string() << ":" << text.line << ": popcorn " << command << " " << option);
        CHECK(known.at(command).count(option) == 1);
        ++named;
      });
    }
  }
  CHECK(named >= 50);
}

TEST_CASE("Commands that documents give and no test runs are understood", "[documentation]") {
  std::size_t commands = 0;
  for (const std::filesystem::path& path : markdown_files()) {
    const Markdown file = read_markdown(path);
    for (const MarkdownBlock& block : file.blocks) {
      if (block.language != "sh" || block.not_run.empty()) continue;
      for (std::string line : shell_lines(block.text)) {
        if (line.rfind("build/popcorn ", 0) == 0) line = line.substr(6);
        if (line.rfind("popcorn ", 0) != 0) continue;
        const Words words = words_of(line);
        const bool of_module = words[1] == "train" || words[1] == "compress" || words[1] == "export";
        if (of_module && !has_compression()) continue;
        INFO(path.string() << ":" << block.line);
        check_arguments(line);
        ++commands;
      }
    }
  }
  CHECK(commands >= 5);
}

}  // namespace popcorn::test
