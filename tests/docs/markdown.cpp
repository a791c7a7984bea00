#include "tests/docs/markdown.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <sstream>

#include "base/file.h"

namespace popcorn::test {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFence = "```";

/// As GitHub names a heading: small letters, digits, hyphens for blanks; what else is ASCII goes.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '_' || c == '-' || byte >= 0x80) {
      anchor += static_cast<char>(std::tolower(byte));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

/// Goes through a file line by line.
class Reader {
 public:
  explicit Reader(const fs::path& path) { markdown_.path = path; }

  void take(const std::string& line) {
    ++number_;
    if (line.rfind(kFence, 0) == 0) {
      fence(line.substr(3));
    } else if (in_block_) {
      markdown_.blocks.back().text += line + '\n';
    } else {
      prose(line);
    }
  }
  Markdown result() { return std::move(markdown_); }

 private:
  void fence(const std::string& language) {
    in_block_ = !in_block_;
    if (in_block_) markdown_.blocks.push_back({language, "", heading_, number_, not_run_});
    not_run_.clear();
  }

  void prose(const std::string& line) {
    static const std::regex comment("<!-- not run by the tests: (.+) -->");
    std::smatch found;
    if (std::regex_match(line, found, comment)) {
      not_run_ = found[1];
      return;
    }
    if (!line.empty()) not_run_.clear();
    if (line.rfind('#', 0) == 0) {
      heading_ = line;
      markdown_.anchors.push_back(anchor_of(line.substr(line.find_first_not_of("# "))));
    }
    if (line.rfind("    ", 0) == 0) {
      markdown_.code.push_back({line.substr(4), number_});
      return;
    }
    static const std::regex link(R"re(\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)")re");
    collect(line, link, markdown_.links);
    static const std::regex span("`([^`]+)`");
    collect(line, span, markdown_.code);
  }

  void collect(const std::string& line, const std::regex& what, std::vector<MarkdownMention>& into) const {
    for (std::sregex_iterator at(line.begin(), line.end(), what), end; at != end; ++at) {
      const bool first = (*at)[1].matched;
      into.push_back({first ? (*at)[1].str() : (*at)[2].str(), number_});
    }
  }

  Markdown markdown_;
  std::size_t number_ = 0;
  bool in_block_ = false;
  std::string heading_;
  std::string not_run_;
};

}  // namespace

Markdown read_markdown(const fs::path& path) {
  Reader reader(path);
  std::istringstream in(read_text_file(path));
  for (std::string line; std::getline(in, line);) reader.take(line);
  return reader.result();
}

std::vector<fs::path> markdown_files() {
  std::vector<fs::path> files;
  const auto is_ours = [](const fs::path& folder) {
    const std::string name = folder.filename().string();
    return name.rfind('.', 0) != 0 && name.rfind("build", 0) != 0;
  };
  for (auto at = fs::recursive_directory_iterator("."); at != fs::recursive_directory_iterator(); ++at) {
    if (at->is_directory() && !is_ours(at->path())) at.disable_recursion_pending();
    if (at->is_regular_file() && at->path().extension() == ".md")
      files.push_back(at->path().lexically_normal());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> shell_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  bool continues = false;
  for (std::string line; std::getline(in, line);) {
    const bool goes_on = !line.empty() && line.back() == '\\';
    if (goes_on) line.back() = ' ';
    if (continues) {
      lines.back() += line;
    } else {
      lines.push_back(line);
    }
    continues = goes_on;
  }
  return lines;
}

}  // namespace popcorn::test
