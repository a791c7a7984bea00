#include "cli/manual/option_value.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace popcorn::cli {

namespace {

/// At colons outside braces: "NAME:{a,b}" has two parts.
std::vector<std::string> parts_of(const std::string& type) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : type) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ':' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> all;
  std::size_t begin = 0;
  for (std::size_t end = text.find(separator); end != std::string::npos; end = text.find(separator, begin)) {
    all.push_back(text.substr(begin, end - begin));
    begin = end + separator.size();
  }
  all.push_back(text.substr(begin));
  return all;
}

std::string joined(const std::vector<std::string>& texts, char separator) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : std::string(1, separator)) + text;
  return all;
}

/// CLI11's names of C++ types say less than an upper-case name of the argument itself.
bool is_type_of_cpp(const std::string& name) {
  static const std::vector<std::string> kTypes = {"TEXT", "INT", "UINT", "FLOAT", "ENUM", "BOOLEAN"};
  return std::ranges::find(kTypes, name) != kTypes.end();
}

/// "INT in [1 - 100]"
void read_range(const std::string& text, OptionValue& value) {
  const std::size_t open = text.find(" in [");
  if (open == std::string::npos || text.back() != ']') return;
  const std::size_t begin = open + 5;
  const std::vector<std::string> ends = split_at(text.substr(begin, text.size() - 1 - begin), " - ");
  if (ends.size() != 2) return;
  value.least = ends[0];
  value.most = ends[1];
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return text;
}

}  // namespace

bool is_positional(const CLI::Option& option) {
  return option.get_lnames().empty() && option.get_snames().empty();
}

std::string shown_name(const CLI::Option& option) {
  if (!option.get_lnames().empty()) return "--" + option.get_lnames().front();
  if (!option.get_snames().empty()) return "-" + option.get_snames().front();
  return option.get_name(true);
}

OptionValue value_of(const CLI::Option& option) {
  OptionValue value;
  if (option.get_items_expected_max() == 0) return value;
  value.repeats = option.get_items_expected_max() > 1;
  for (const std::string& part : parts_of(option.get_type_name())) {
    if (part.size() > 2 && part.front() == '{' && part.back() == '}') {
      value.choices = split_at(part.substr(1, part.size() - 2), ",");
    } else if (part.find(' ') != std::string::npos) {
      read_range(part, value);
    } else if (value.name.empty()) {
      value.name = part;
    }
  }
  if (is_type_of_cpp(value.name)) {
    const bool is_number = value.name != "TEXT";
    value.name = is_positional(option) ? upper(option.get_name(true)) : is_number ? "N" : "";
  }
  if (value.name.empty()) value.name = value.choices.empty() ? "TEXT" : joined(value.choices, '|');
  return value;
}

}  // namespace popcorn::cli
