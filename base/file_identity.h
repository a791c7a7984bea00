// What tells a file from every copy of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/bytes.h"

namespace popcorn {

/// A file that was copied away and back has another one, also under the same name. Not so a whole file system
/// that was put back.
struct FileIdentity {
  std::uint64_t inode = 0;
  std::int64_t born = 0;  ///< nanoseconds since 1970

  bool operator==(const FileIdentity&) const = default;
};

/// @throws IoError "file.identity" where the file system does not know when its files were made
FileIdentity identity_of(const std::filesystem::path& path);

/// write_file() of a content that may hold the file's own identity, for good: the folder is flushed too.
/// @throws IoError "file.write", "file.identity"
void write_identified_file(const std::filesystem::path& path,
                           const std::function<Bytes(const FileIdentity&)>& content, unsigned mode);

}  // namespace popcorn
