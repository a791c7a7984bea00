// Folders that nobody but their owner may enter, and files that begin with what they are.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"

namespace popcorn {

/// Makes the folder (mode 0700) and those above it, unless it is there.
/// @param what messages call its content: "this stock of preparations"
/// @param code "stock". @throws IoError CODE ".folder"; InputError CODE ".permissions" for one that others
/// may enter
void make_private_folder(const std::filesystem::path& folder, const std::string& what,
                         const std::string& code);

/// As much of a file as is there, `most` bytes at most; nothing when it cannot be read.
Bytes read_beginning(const std::filesystem::path& file, std::size_t most);

}  // namespace popcorn
