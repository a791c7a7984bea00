// Options from a JSON file.
#pragma once

#include <string>
#include <vector>

namespace popcorn::cli {

/// Replaces `--config FILE` by the options that the file holds, placed before all others so that flags win.
///
/// The file is one JSON object with an object for each command ("train", "compress"); its members are the
/// long options without dashes: numbers and strings as they are, true for a flag, an object {"conv1": 0.5}
/// for an option that takes NAME=VALUE pairs. compress/recipe.schema.json describes it.
/// @throws IoError, InputError "config.*" that names the file and the member
std::vector<std::string> with_config_file(const std::string& command,
                                          const std::vector<std::string>& arguments);

}  // namespace popcorn::cli
