#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace popcorn {

Sha256 sha256(ByteView data) {
  Sha256 digest{};
  unsigned length = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1 ||
      length != digest.size()) {
    throw Error("sha256.failed", "OpenSSL could not compute a SHA-256 digest");
  }
  return digest;
}

}  // namespace popcorn
