#include <openssl/crypto.h>

#include "base/error.h"
#include "base/file.h"
#include "paillier/keys/keys.h"

namespace popcorn::paillier {

namespace {

std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void rethrow_with_path(const InputError& error, const std::string& path) {
  throw InputError(error.code(), path + ": " + error.what());
}

}  // namespace

PrivateKey read_private_key(const std::string& path, KeySizePolicy policy) {
  const SecretBytes content = read_secret_file(
      path, {.what = "the private key", .code = "key.permissions", .max_bytes = kMaxKeyFileBytes});
  try {
    return PrivateKey::from_json(as_text(content.view()), policy);
  } catch (const InputError& error) {
    rethrow_with_path(error, path);
  }
}

PublicKey read_public_key(const std::string& path, KeySizePolicy policy) {
  const Bytes content = read_file(path, kMaxKeyFileBytes);
  const std::string_view text = as_text(content);
  try {
    return text.starts_with("PPPK") ? PublicKey::parse(content, policy) : PublicKey::from_json(text, policy);
  } catch (const InputError& error) {
    rethrow_with_path(error, path);
  }
}

void write_private_key(const std::string& path, const PrivateKey& key) {
  struct Wiped {
    std::string text;
    ~Wiped() { OPENSSL_cleanse(text.data(), text.size()); }
  };
  const Wiped json{key.to_json()};
  write_file(path, as_bytes(json.text), 0600);
}

void write_public_key(const std::string& path, const PublicKey& key) {
  write_file(path, as_bytes(key.to_json()), 0644);
}

}  // namespace popcorn::paillier
