#include "tests/support/data_folder.h"

#include <cstdlib>
#include <iostream>

namespace popcorn::test {

std::optional<std::filesystem::path> data_file(const std::string& file) {
  const char* chosen = std::getenv("POPCORN_DATA");
  const std::filesystem::path folder = chosen != nullptr ? chosen : "../shared/data";
  if (std::filesystem::exists(folder / file)) return folder / file;
  std::cerr << "SKIPPED: " << (folder / file).string() << " is absent; set POPCORN_DATA to the data folder\n";
  return std::nullopt;
}

}  // namespace popcorn::test
