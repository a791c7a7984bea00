#include "models/datasets/label_table.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"

namespace popcorn::datasets {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 28;

[[noreturn]] void fail(const char* code, const fs::path& file, std::size_t line, const std::string& problem) {
  throw InputError(code, file.string() + ", line " + std::to_string(line + 1) + ": " + problem);
}

/// Lines without their ends; a byte order mark and empty lines at the end are left out.
std::vector<std::string> lines_of(const fs::path& file) {
  std::string text = read_text_file(file, kMaxBytes);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    at = end + 1;
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

/// The text before the first space, which is taken off `rest` with the spaces after it.
std::string take_word(std::string& rest) {
  const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
  std::string word = rest.substr(0, end);
  rest.erase(0, std::min(rest.find_first_not_of(" \t", end), rest.size()));
  return word;
}

bool is_numbered(const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string rest = lines[i];
    if (take_word(rest) != std::to_string(i) || rest.empty()) return false;
  }
  return true;
}

bool is_wordnet_id(const std::string& word) {
  return word.size() == 9 && word[0] == 'n' &&
         std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// One field from `at` on, which moves behind it and its separator.
std::string take_field(const std::string& line, std::size_t& at, char separator, const fs::path& file,
                       std::size_t number) {
  std::string field;
  if (separator == ',' && at < line.size() && line[at] == '"') {
    for (++at;; ++at) {
      if (at >= line.size()) fail("dataset.table", file, number, "a quoted field does not end");
      if (line[at] != '"') {
        field += line[at];
      } else if (at + 1 < line.size() && line[at + 1] == '"') {
        field += line[at++];
      } else {
        break;
      }
    }
    ++at;
    if (at < line.size() && line[at] != separator)
      fail("dataset.table", file, number, "text follows a quoted field");
  } else {
    const std::size_t end = std::min(line.find(separator, at), line.size());
    field = line.substr(at, end - at);
    at = end;
  }
  ++at;  // beyond the end of the line when there is no separator
  return field;
}

bool is_heading(const TableRow& row) {
  constexpr std::array<const char*, 4> kFile{"file", "filename", "image", "path"};
  constexpr std::array<const char*, 2> kLabel{"label", "class"};
  return std::ranges::find(kFile, row.file) != kFile.end() &&
         std::ranges::find(kLabel, row.label) != kLabel.end();
}

}  // namespace

std::vector<ClassName> read_labels(const fs::path& file) {
  const std::vector<std::string> lines = lines_of(file);
  const bool numbered = is_numbered(lines);
  std::vector<ClassName> classes;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string rest = lines[i];
    ClassName found;
    if (numbered) {
      take_word(rest);
      std::string behind = rest;
      const std::string word = take_word(behind);
      if (is_wordnet_id(word) && !behind.empty()) {
        found.identifiers.push_back(word);
        rest = behind;
      }
    }
    if (rest.empty()) fail("dataset.labels", file, i, "the name of class " + std::to_string(i) + " is empty");
    found.identifiers.push_back(rest);
    std::ranges::replace(rest, '_', ' ');
    if (rest != found.identifiers.back()) found.identifiers.push_back(rest);
    found.name = rest;
    classes.push_back(std::move(found));
  }
  if (classes.empty()) throw InputError("dataset.labels", file.string() + ": there are no class names");
  return classes;
}

std::vector<TableRow> read_table(const fs::path& file) {
  const char separator = file.extension() == ".tsv" ? '\t' : ',';
  const std::vector<std::string> lines = lines_of(file);
  std::vector<TableRow> rows;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t at = 0;
    TableRow row;
    row.file = take_field(lines[i], at, separator, file, i);
    if (at > lines[i].size()) fail("dataset.table", file, i, "a file name and a label are expected");
    row.label = take_field(lines[i], at, separator, file, i);
    if (at <= lines[i].size()) fail("dataset.table", file, i, "two fields are expected, there are more");
    if (row.file.empty() || row.label.empty()) fail("dataset.table", file, i, "a field is empty");
    if (i > 0 || !is_heading(row)) rows.push_back(std::move(row));
  }
  if (rows.empty()) throw InputError("dataset.table", file.string() + ": there are no rows");
  return rows;
}

}  // namespace popcorn::datasets
