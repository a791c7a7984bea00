// Files with a secret of 256 bits that servers share: store key, configuration secret; and what is derived
// from them.
#pragma once

#include <string>

#include "base/secret_bytes.h"
#include "base/sha256.h"

namespace popcorn::service {

inline constexpr std::size_t kSharedSecretBytes = 32;

/// 64 hexadecimal digits and perhaps a line end; others may not reach the file (its group may).
/// @param what "the store key"
/// @param code "store_key". @throws IoError, InputError CODE ".permissions", ".invalid", "file.too_large"
SecretBytes read_shared_secret(const std::string& path, const std::string& what, const std::string& code);

/// First line of a file with the password of Redis, at most 4 KiB; empty without a file.
/// @throws IoError, InputError "store_password.permissions"
std::string read_store_password(const std::string& file);

/// HMAC-SHA256 (RFC 2104).
Sha256 hmac_sha256(ByteView key, ByteView data);

}  // namespace popcorn::service
