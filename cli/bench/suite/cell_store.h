// The results of a suite's cells on disk, one file each, so that an interrupted suite goes on where it was.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench/suite/suite_plan.h"

namespace popcorn::cli {

/// What a result is of: it stands for another run only where all this is the same.
struct SuiteConditions {
  std::string version;  ///< of the program
  std::string build;    ///< first digits of the executable's SHA-256
  std::string machine;  ///< processor, cores, GMP

  static SuiteConditions here();
};

class CellStore {
 public:
  /// @param folder made when it is not there
  CellStore(std::filesystem::path folder, SuiteConditions conditions);

  /// A cell's result of the same arguments under the same conditions.
  std::optional<nlohmann::ordered_json> find(const SuiteCell& cell) const;
  /// Everything about a result but what was measured: id, group, facts, command, conditions.
  nlohmann::ordered_json head_of(const SuiteCell& cell) const;
  /// Written beside and renamed. @throws IoError
  void write(const SuiteCell& cell, const nlohmann::ordered_json& result) const;

  const SuiteConditions& conditions() const noexcept { return conditions_; }

 private:
  std::filesystem::path file_of(const SuiteCell& cell) const;

  std::filesystem::path folder_;
  SuiteConditions conditions_;
};

}  // namespace popcorn::cli
