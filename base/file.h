// Reading and writing whole files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/secret_bytes.h"

namespace popcorn {

/// Reads a whole file. @throws IoError when it cannot be read, InputError "file.too_large" above `max_bytes`.
Bytes read_file(const std::filesystem::path& path, std::size_t max_bytes = std::size_t{1} << 31);
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes = std::size_t{1} << 26);

/// How a file with a secret in it must look before anything of it is read.
struct SecretFileRules {
  std::string what;  ///< what messages call it: "the private key"
  std::string code;  ///< of the error when others may reach it: "key.permissions"
  std::size_t max_bytes = 65536;
  bool group_may_reach = false;  ///< as where an orchestrator hands secrets to a group
  bool written_here = false;     ///< only this program writes it: never a link, always a regular file
};

/// Reads a whole file with a secret in it. The file is opened first and the open descriptor is judged, so
/// that nobody can put another one in its place between the two; no copy stays behind.
/// @throws IoError "file.open", "file.read"; InputError of the rules' code, "file.too_large", "file.link"
SecretBytes read_secret_file(const std::filesystem::path& path, const SecretFileRules& rules);
/// Likewise; nothing when there is no such file.
std::optional<SecretBytes> read_secret_file_if_any(const std::filesystem::path& path,
                                                   const SecretFileRules& rules);

/// Writes to a temporary file in the same folder, flushes it to the disk and renames it over `path`, so that
/// nobody ever sees half a file and a failure leaves nothing behind.
/// @param mode permission bits the file is created with; secrets take 0600. @throws IoError
void write_file(const std::filesystem::path& path, ByteView content, unsigned mode = 0644);

/// Renames within a folder to a name that is free, for good: the folder is flushed to the disk before this
/// returns. False when the file is not there (any more) or the name is taken. @throws IoError "file.rename"
bool rename_new_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Removes a file for good: the folder is flushed. Nothing happens when there is none.
/// @throws IoError "file.remove"
void remove_file(const std::filesystem::path& path);

}  // namespace popcorn
