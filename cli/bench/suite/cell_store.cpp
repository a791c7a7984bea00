#include "cli/bench/suite/cell_store.h"

#include "base/file.h"
#include "base/sha256.h"
#include "cli/bench/commands/bench_commands.h"
#include "cli/shipped_files.h"
#include "popcorn_build_info.h"

namespace popcorn::cli {

namespace {

namespace fs = std::filesystem;

/// Without the folders of files: a result is the same wherever they lie, and says nothing of this machine's
/// paths.
std::string without_folder(const std::string& argument) {
  const fs::path path = argument;
  return argument.starts_with("synthetic:") || !path.has_parent_path() ? argument : path.filename().string();
}

std::vector<std::string> shown(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  for (const std::string& argument : arguments) result.push_back(without_folder(argument));
  return result;
}

/// Settings that change what is measured; where the data lie does not.
std::vector<std::string> shown_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> result;
  for (const std::string& entry : environment) {
    if (!entry.starts_with("POPCORN_DATA=")) result.push_back(entry);
  }
  return result;
}

}  // namespace

SuiteConditions SuiteConditions::here() {
  constexpr std::size_t kDigits = 16;
  return {kVersion, to_hex(sha256(read_file(own_executable()))).substr(0, kDigits), benchmark_conditions()};
}

CellStore::CellStore(fs::path folder, SuiteConditions conditions)
    : folder_(std::move(folder)), conditions_(std::move(conditions)) {}

fs::path CellStore::file_of(const SuiteCell& cell) const {
  return folder_ / (cell.id + ".json");
}

nlohmann::ordered_json CellStore::head_of(const SuiteCell& cell) const {
  return {{"id", cell.id},
          {"group", cell.group},
          {"facts", cell.facts},
          {"arguments", shown(cell.arguments)},
          {"environment", shown_environment(cell.environment)},
          {"cores", cell.cores},
          {"version", conditions_.version},
          {"build", conditions_.build},
          {"machine", conditions_.machine}};
}

std::optional<nlohmann::ordered_json> CellStore::find(const SuiteCell& cell) const {
  const fs::path file = file_of(cell);
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return std::nullopt;
  nlohmann::ordered_json result = nlohmann::ordered_json::parse(read_text_file(file), nullptr, false);
  if (!result.is_object() || !result.contains("report")) return std::nullopt;
  const nlohmann::ordered_json head = head_of(cell);
  for (const auto& [key, value] : head.items()) {
    if (!result.contains(key) || result[key] != value) return std::nullopt;
  }
  return result;
}

void CellStore::write(const SuiteCell& cell, const nlohmann::ordered_json& result) const {
  const fs::path file = file_of(cell);
  fs::create_directories(file.parent_path());
  write_file(file, as_bytes(result.dump(2) + "\n"));
}

}  // namespace popcorn::cli
