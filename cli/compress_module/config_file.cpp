#include "cli/compress_module/config_file.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace popcorn::cli {

namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;

std::string scalar(const nlohmann::json& value, const std::string& path, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  throw InputError("config.value", path + ": \"" + key + "\" must be a number or a string");
}

void add_option(std::vector<std::string>& options, const std::string& path, const std::string& key,
                const nlohmann::json& value) {
  const std::string flag = "--" + key;
  if (value.is_boolean()) {
    if (value.get<bool>()) options.push_back(flag);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      options.push_back(flag);
      options.push_back(name + "=" + scalar(member, path, key));
    }
  } else {
    options.push_back(flag);
    options.push_back(scalar(value, path, key));
  }
}

std::vector<std::string> read_options(const std::string& command, const std::string& path) {
  const nlohmann::json config = nlohmann::json::parse(read_text_file(path, kMaxConfigBytes), nullptr, false);
  if (!config.is_object()) throw InputError("config.damaged", path + ": not a JSON object");
  for (const auto& [name, section] : config.items()) {
    if (name != "train" && name != "compress" && name != "network") {
      throw InputError("config.section",
                       path + ": unknown section \"" + name + "\"; known: network, train, compress");
    }
    if (name != "network" && !section.is_object())
      throw InputError("config.section", path + ": \"" + name + "\" must be an object");
  }
  std::vector<std::string> options;
  if (!config.contains(command)) return options;
  for (const auto& [key, value] : config.at(command).items()) {
    if (key == "config")
      throw InputError("config.member", path + ": a configuration cannot name another one");
    add_option(options, path, key, value);
  }
  return options;
}

}  // namespace

std::vector<std::string> with_config_file(const std::string& command,
                                          const std::vector<std::string>& arguments) {
  constexpr std::string_view kPrefix = "--config=";
  std::vector<std::string> options, rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string path;
    if (arguments[i] == "--config" && i + 1 < arguments.size()) {
      path = arguments[++i];
    } else if (arguments[i].rfind(kPrefix, 0) == 0) {
      path = arguments[i].substr(kPrefix.size());
    } else {
      rest.push_back(arguments[i]);
      continue;
    }
    const std::vector<std::string> read = read_options(command, path);
    options.insert(options.end(), read.begin(), read.end());
  }
  options.insert(options.end(), rest.begin(), rest.end());
  return options;
}

}  // namespace popcorn::cli
