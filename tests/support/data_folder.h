// Where the public data sets and networks lie that some tests measure with.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace popcorn::test {

/// $POPCORN_DATA, else ../shared/data beside the project when it exists, else nothing. When `file` is missing
/// the test must skip: this function has then printed a loud line about it.
std::optional<std::filesystem::path> data_file(const std::string& file);

}  // namespace popcorn::test
