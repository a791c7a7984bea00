#include "service/store/shared_secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.h"
#include "base/file.h"

namespace popcorn::service {
namespace {

constexpr std::size_t kMaxFileBytes = 4096;

}  // namespace

SecretBytes read_shared_secret(const std::string& path, const std::string& what, const std::string& code) {
  const SecretBytes content = read_secret_file(
      path,
      {.what = what, .code = code + ".permissions", .max_bytes = kMaxFileBytes, .group_may_reach = true});
  std::string_view text(reinterpret_cast<const char*>(content.view().data()), content.size());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  if (text.size() == 2 * kSharedSecretBytes) {
    try {
      return SecretBytes(from_hex(text));
    } catch (const InputError&) {
      // Said below.
    }
  }
  throw InputError(code + ".invalid",
                   path + " must hold 64 hexadecimal digits; make it with: openssl rand -hex 32");
}

std::string read_store_password(const std::string& file) {
  if (file.empty()) {
    return "";
  }
  const SecretBytes content = read_secret_file(file, {.what = "the password of the session store",
                                                      .code = "store_password.permissions",
                                                      .max_bytes = 4096,
                                                      .group_may_reach = true});
  const std::string_view text(reinterpret_cast<const char*>(content.view().data()), content.size());
  return std::string(text.substr(0, text.find_first_of("\r\n")));
}

Sha256 hmac_sha256(ByteView key, ByteView data) {
  Sha256 digest{};
  unsigned size = digest.size();
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(), digest.data(),
           &size) == nullptr ||
      size != digest.size()) {
    throw Error("hmac.failed", "OpenSSL could not compute an HMAC-SHA256");
  }
  return digest;
}

}  // namespace popcorn::service
