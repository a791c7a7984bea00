// What a shared session store holds is secret (masks, transfer seeds, answers): sealed before it leaves the
// process.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace popcorn::service {

/// AES-256-GCM under a key that all replicas share. Every piece has a key of its own, HMAC-SHA256(store key,
/// 16 random bytes), so that any number of pieces may be sealed. Immutable, thread-safe.
class StoreCipher {
 public:
  /// Without a key: pieces are kept as they are. Only for a store on the same machine.
  StoreCipher() = default;
  ~StoreCipher();
  StoreCipher(const StoreCipher&) = default;
  StoreCipher& operator=(const StoreCipher&) = default;
  /// 64 hexadecimal digits, e.g. of `openssl rand -hex 32`, in a file that other users cannot read.
  /// @throws IoError, InputError "store_key.*" that names the file
  static StoreCipher from_file(const std::string& path);

  /// @param key 32 bytes
  static StoreCipher from_key(ByteView key);

  bool has_key() const noexcept { return key_.has_value(); }
  /// @param context where the piece belongs; it opens there only
  Bytes seal(ByteView plain, std::string_view context) const;
  /// @throws Error "store.sealed" when it was not sealed under this key for this context
  Bytes open(ByteView sealed, std::string_view context) const;

 private:
  using Key = std::array<std::uint8_t, 32>;
  Key piece_key(ByteView salt) const;

  std::optional<Key> key_;
};

}  // namespace popcorn::service
