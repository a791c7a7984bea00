// Whole files that may be packed.
#pragma once

#include <filesystem>

#include "base/bytes.h"

namespace popcorn::datasets {

/// Reads a plain, gzip or xz file whole; the kind is recognised by its first bytes.
/// @throws IoError, InputError "dataset.*" that names the file; never unpacks more than `max_bytes`
Bytes read_maybe_packed(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace popcorn::datasets
