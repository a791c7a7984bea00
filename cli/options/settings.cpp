#include "cli/options/settings.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr const char* kFileSetting = "config";

struct Unit {
  const char* name;
  std::uint64_t bytes;
};
constexpr std::array<Unit, 3> kUnits = {
    {{"GiB", std::uint64_t{1} << 30}, {"MiB", std::uint64_t{1} << 20}, {"KiB", std::uint64_t{1} << 10}}};

[[noreturn]] void expected(const std::string& what) {
  throw UsageError("settings.value", "expected " + what);
}

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : separator) + text;
  return all;
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::string number_text(std::uint64_t number, bool units) {
  for (const Unit& unit : kUnits) {
    if (units && number >= unit.bytes && number % unit.bytes == 0)
      return std::to_string(number / unit.bytes) + unit.name;
  }
  return std::to_string(number);
}

/// Nothing when the text is no number, or one beyond 64 bits.
std::optional<std::uint64_t> parse_number(std::string text, bool units) {
  std::uint64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (units && text.ends_with(unit.name)) {
      factor = unit.bytes;
      text.resize(text.size() - std::string_view(unit.name).size());
      break;
    }
  }
  constexpr std::size_t kMaxDigits = 19;
  if (text.empty() || text.size() > kMaxDigits || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  const std::uint64_t number = std::stoull(text);
  if (number > std::numeric_limits<std::uint64_t>::max() / factor) return std::nullopt;
  return number * factor;
}

/// "redis://user:password@host" without the password: what is printed may be kept or shown.
std::string without_password(const std::string& text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const std::size_t authority = scheme + 3;
  const std::size_t at = text.rfind('@', text.find_first_of("/?#", authority));
  if (at == std::string::npos || at < authority) return text;
  return text.substr(0, authority) + "***" + text.substr(at);
}

[[noreturn]] void bad_file(const std::string& code, const std::string& file, const std::string& complaint) {
  throw InputError("config." + code, "The configuration file " + file + " " + complaint);
}

/// The values of a key as texts; nothing when it holds something that no setting takes.
std::optional<std::vector<std::string>> texts_of(const nlohmann::json& value) {
  if (value.is_string()) return std::vector{value.get<std::string>()};
  if (value.is_boolean() || value.is_number_integer()) return std::vector{value.dump()};
  if (!value.is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const auto& item : value) {
    if (!item.is_string()) return std::nullopt;
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

nlohmann::json parse_file(const std::string& file) {
  Json object;
  if (const auto problem = read_json(read_text_file(file, kMaxFile), object, {.comments = true})) {
    if (problem->kind == JsonProblem::Kind::repeated) {
      bad_file("duplicate_key", file, "has the key \"" + problem->name + "\" twice");
    }
    bad_file("json", file, problem->describe());
  }
  if (!object.is_object()) bad_file("json", file, "must hold one JSON object");
  return object;
}

}  // namespace

Settings::Settings(CLI::App& command, std::string prefix) : command_(command), prefix_(std::move(prefix)) {}

Settings::Setting& Settings::add(const std::string& name, CLI::Option* option,
                                 std::vector<std::string> defaults, Take take) {
  if (!defaults.empty() && !defaults.front().empty()) option->default_str(defaults.front());
  Setting setting;
  setting.name = name;
  setting.option = option;
  setting.values = std::move(defaults);
  setting.take = std::move(take);
  settings_.push_back(std::move(setting));
  return settings_.back();
}

void Settings::text(const std::string& name, std::string& target, const std::string& type,
                    const std::string& help) {
  add(name, command_.add_option("--" + name)->description(help)->type_name(type), {target},
      [&target](const std::vector<std::string>& values) { target = values.front(); });
}

void Settings::choice(const std::string& name, std::string& target, std::vector<std::string> allowed,
                      const std::string& help) {
  CLI::Option* option = command_.add_option("--" + name);
  option->description(help)->type_name("{" + joined(allowed, ",") + "}");
  add(name, option, {target}, [&target, allowed](const std::vector<std::string>& values) {
    if (std::find(allowed.begin(), allowed.end(), values.front()) == allowed.end())
      expected("one of " + joined(allowed, ", "));
    target = values.front();
  });
}

void Settings::positional_list(const std::string& name, std::vector<std::string>& target,
                               const std::string& type, const std::string& help) {
  // A list for CLI11 as well: it takes all that stand by themselves. resolve() decides what counts.
  CLI::Option* option = command_.add_option(name, target);
  option->description(help)->type_name(type);
  add(name, option, target, [&target](const std::vector<std::string>& values) { target = values; }).list =
      true;
}

void Settings::flag(const std::string& name, bool& target, const std::string& help) {
  CLI::Option* option = command_.add_flag("--" + name);
  add(name, option->description(help), {target ? "true" : "false"},
      [&target](const std::vector<std::string>& values) {
        if (values.front() != "true" && values.front() != "false") expected("true or false");
        target = values.front() == "true";
      });
}

void Settings::add_number(const std::string& name, const std::string& type, const std::string& help,
                          std::uint64_t initial, Bounds bounds, std::function<void(std::uint64_t)> assign) {
  add(name, command_.add_option("--" + name)->description(help)->type_name(type),
      {number_text(initial, bounds.units)},
      [bounds, assign = std::move(assign)](const std::vector<std::string>& values) {
        const auto number = parse_number(values.front(), bounds.units);
        if (!number || *number < bounds.least || *number > bounds.most) {
          expected("a number from " + number_text(bounds.least, bounds.units) + " to " +
                   (bounds.units ? "8 EiB, in bytes or with KiB, MiB or GiB" : std::to_string(bounds.most)));
        }
        assign(*number);
      });
}

std::string Settings::variable(const std::string& name) const {
  std::string text = prefix_ + "_" + name;
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    if (c == '-') return '_';
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

void Settings::refuse_unknown_variables() const {
  std::set<std::string> known = {variable(kFileSetting)};
  for (const Setting& setting : settings_) known.insert(variable(setting.name));
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (name.starts_with(prefix_ + "_") && !known.contains(name)) {
      throw UsageError("settings.environment",
                       "The environment variable " + name + " is none of the settings of this command");
    }
  }
}

Settings::FileValues Settings::read_file_values(const std::string& file) const {
  FileValues values;
  const nlohmann::json object = parse_file(file);
  for (const auto& [key, value] : object.items()) {
    const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                      [&](const Setting& candidate) { return candidate.name == key; });
    if (setting == settings_.end())
      bad_file("unknown_key", file, "has the key \"" + key + "\", which is none of the settings");
    const auto texts = texts_of(value);
    if (!texts || (!setting->list && (value.is_array() || texts->size() != 1))) {
      bad_file("type", file,
               "must hold " +
                   std::string(setting->list ? "an array of texts" : "one text, number or boolean") +
                   " under \"" + key + "\"");
    }
    values[key] = *texts;
  }
  return values;
}

void Settings::choose(Setting& setting, const FileValues& from_file, const std::string& file) {
  const std::string name = variable(setting.name);
  const char* from_environment = std::getenv(name.c_str());
  if (setting.option->count() > 0) {
    setting.values = setting.option->results();
    setting.origin = "flag";
  } else if (from_environment != nullptr) {
    setting.values =
        setting.list ? split_at_commas(from_environment) : std::vector<std::string>{from_environment};
    setting.origin = "environment " + name;
  } else if (const auto found = from_file.find(setting.name); found != from_file.end()) {
    setting.values = found->second;
    setting.origin = "file " + file;
  }
  try {
    setting.take(setting.values);
  } catch (const UsageError& error) {
    const std::string sentence = "The setting " + setting.name + " (from: " + setting.origin + ") is \"" +
                                 without_password(joined(setting.values, ", ")) + "\": " + error.what();
    if (setting.origin.starts_with("file")) throw InputError("config.value", sentence);
    throw UsageError("settings.value", sentence);
  }
}

void Settings::resolve(const std::string& file) {
  refuse_unknown_variables();
  const char* named = std::getenv(variable(kFileSetting).c_str());
  const std::string path = file.empty() && named != nullptr ? named : file;
  const FileValues from_file = path.empty() ? FileValues{} : read_file_values(path);
  for (Setting& setting : settings_) choose(setting, from_file, path);
}

void Settings::print(std::ostream& out, bool json) const {
  if (json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::object();
    for (const Setting& setting : settings_) {
      std::vector<std::string> shown;
      for (const std::string& value : setting.values) shown.push_back(without_password(value));
      nlohmann::ordered_json value = shown;
      if (!setting.list) value = shown.front();
      all[setting.name] = {{"value", std::move(value)}, {"origin", setting.origin}};
    }
    print_json(out, all);
    return;
  }
  Table table({{"setting", Table::Align::left}, {"value", Table::Align::left}, {"from", Table::Align::left}});
  for (const Setting& setting : settings_) {
    const std::string value = without_password(joined(setting.values, " "));
    table.add_row({setting.name, value.empty() ? "-" : value, setting.origin});
  }
  table.print(out);
}

}  // namespace popcorn::cli
