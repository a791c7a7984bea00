// Reading and writing whole files.
#pragma once

#include <filesystem>

#include "base/bytes.h"

namespace popcorn {

/// Reads a whole file. @throws IoError when it cannot be read, InputError "file.too_large" above `max_bytes`.
Bytes read_file(const std::filesystem::path& path, std::size_t max_bytes = std::size_t{1} << 31);
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes = std::size_t{1} << 26);

/// Writes to a temporary file in the same folder, flushes it to the disk and renames it over `path`, so that
/// nobody ever sees half a file and a failure leaves nothing behind.
/// @param mode permission bits the file is created with; secrets take 0600. @throws IoError
void write_file(const std::filesystem::path& path, ByteView content, unsigned mode = 0644);

}  // namespace popcorn
