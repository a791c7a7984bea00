#include "cli/compress_module/config_file.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/compress_module/recipe_schema.h"

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

/// "compress.layer-bits.fc3" of {"<root>", "[compress]", …}
std::string member_path(const std::vector<std::string>& context) {
  std::string path;
  for (std::string part : context) {
    if (part == "<root>") continue;
    if (part.size() > 2 && part.front() == '[') part = part.substr(1, part.size() - 2);
    path += (path.empty() ? "" : ".") + part;
  }
  return path;
}

/// @throws InputError "config.schema" that names the member and what is wrong with it
void check_against_schema(const nlohmann::json& config, const std::string& path) {
  const nlohmann::json text = nlohmann::json::parse(recipe_schema());
  valijson::Schema schema;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(text), schema);
  valijson::ValidationResults results;
  valijson::Validator validator;
  if (validator.validate(schema, valijson::adapters::NlohmannJsonAdapter(config), &results)) return;
  // The innermost says what is wrong, those around it only that something is.
  std::optional<valijson::ValidationResults::Error> innermost;
  for (valijson::ValidationResults::Error error; results.popError(error);) {
    if (!innermost || error.context.size() > innermost->context.size()) innermost = error;
  }
  const std::string member = member_path(innermost->context);
  throw InputError("config.schema", path + ": " + (member.empty() ? std::string() : "\"" + member + "\": ") +
                                        innermost->description + " (compress/recipe.schema.json)");
}

std::vector<std::string> read_options(const std::string& command, const std::string& path) {
  const Json config = parse_json(read_text_file(path, kMaxConfigBytes), path + ":", "config.damaged");
  if (!config.is_object()) throw InputError("config.damaged", path + ": not a JSON object");
  check_against_schema(config, path);
  std::vector<std::string> options;
  if (!config.contains(command)) return options;
  for (const auto& [key, value] : config.at(command).items()) {
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
