// A client's inference on disk, so that another process can go on with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/sha256.h"

namespace popcorn::service {

/// Which session of which server on which input, how far, and what ClientSession::save() gave.
struct KeptSession {
  std::string server;                                      ///< URL
  std::string id;                                          ///< that the server gave
  Sha256 input{};                                          ///< of the input's integers
  std::uint64_t rounds = 0, bytes_up = 0, bytes_down = 0;  ///< so far
  Bytes session;                                           ///< secret
};

/// Replaces the file as a whole; only its owner may read it. @throws IoError
void write_session_file(const std::filesystem::path& path, const KeptSession& kept);
/// Nothing when there is no such file. One that others may reach is refused like a key's, and so is a link.
/// @throws IoError, InputError "session_file.*", "file.*" that names the file
std::optional<KeptSession> read_session_file(const std::filesystem::path& path);

}  // namespace popcorn::service
