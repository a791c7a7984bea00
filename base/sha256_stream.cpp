#include "base/sha256_stream.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace popcorn {
namespace {

[[noreturn]] void fail() {
  throw Error("sha256.failed", "OpenSSL could not compute a SHA-256 digest");
}

}  // namespace

Sha256Stream::Sha256Stream() : state_(EVP_MD_CTX_new()) {
  if (state_ == nullptr || EVP_DigestInit_ex(state_, EVP_sha256(), nullptr) != 1) {
    EVP_MD_CTX_free(state_);
    fail();
  }
}

Sha256Stream::~Sha256Stream() {
  EVP_MD_CTX_free(state_);
}

void Sha256Stream::update(ByteView piece) {
  if (EVP_DigestUpdate(state_, piece.data(), piece.size()) != 1) fail();
}

Sha256 Sha256Stream::digest() {
  Sha256 digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state_, digest.data(), &length) != 1 || length != digest.size()) fail();
  return digest;
}

}  // namespace popcorn
