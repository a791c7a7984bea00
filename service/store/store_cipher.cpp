#include "service/store/store_cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "service/store/shared_secret.h"

namespace popcorn::service {
namespace {

constexpr std::uint8_t kPlain = 0;
constexpr std::uint8_t kSealed = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kSaltBytes + kNonceBytes;
constexpr std::size_t kMaxPiece = std::size_t{1} << 30;  // EVP takes an int

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

[[noreturn]] void refuse() {
  throw Error("store.sealed", "the session store holds something that was not sealed under this store key");
}

void require(int done) {
  if (done != 1) {
    throw Error("store.cipher", "OpenSSL could not use AES-256-GCM");
  }
}

/// A context that has taken key, nonce and the piece's place.
Context start(bool encrypt, const std::uint8_t* key, const std::uint8_t* nonce, std::string_view place) {
  Context context(EVP_CIPHER_CTX_new());
  require(context ? 1 : 0);
  require(EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key, nonce, encrypt ? 1 : 0));
  int written = 0;
  const ByteView bytes = as_bytes(place);
  require(EVP_CipherUpdate(context.get(), nullptr, &written, bytes.data(), static_cast<int>(bytes.size())));
  return context;
}

}  // namespace

StoreCipher::~StoreCipher() {
  if (key_) {
    OPENSSL_cleanse(key_->data(), key_->size());
  }
}

StoreCipher StoreCipher::from_file(const std::string& path) {
  const SecretBytes raw = read_shared_secret(path, "the store key", "store_key");
  StoreCipher cipher;
  static_assert(sizeof(Key) == kSharedSecretBytes);
  std::ranges::copy(raw.view(), cipher.key_.emplace().begin());
  return cipher;
}

StoreCipher StoreCipher::from_key(ByteView key) {
  StoreCipher cipher;
  if (key.size() != sizeof(Key)) throw Error("store.cipher", "a key of AES-256 has 32 bytes");
  std::ranges::copy(key, cipher.key_.emplace().begin());
  return cipher;
}

StoreCipher::Key StoreCipher::piece_key(ByteView salt) const {
  Key key;
  unsigned size = key.size();
  require(HMAC(EVP_sha256(), key_->data(), static_cast<int>(key_->size()), salt.data(), salt.size(),
               key.data(), &size) != nullptr
              ? 1
              : 0);
  return key;
}

Bytes StoreCipher::seal(ByteView plain, std::string_view context) const {
  if (!key_) {
    Bytes piece(1 + plain.size(), kPlain);
    std::ranges::copy(plain, piece.begin() + 1);
    return piece;
  }
  if (plain.size() > kMaxPiece) {
    throw Error("store.cipher", "a session is too large for the session store");
  }
  Bytes piece(kHeadBytes + plain.size() + kTagBytes);
  piece[0] = kSealed;
  system_rng().fill(std::span(piece).subspan(1, kSaltBytes + kNonceBytes));
  Key key = piece_key(ByteView(piece).subspan(1, kSaltBytes));
  const Context cipher = start(true, key.data(), piece.data() + 1 + kSaltBytes, context);
  OPENSSL_cleanse(key.data(), key.size());
  int written = 0;
  require(EVP_CipherUpdate(cipher.get(), piece.data() + kHeadBytes, &written, plain.data(),
                           static_cast<int>(plain.size())));
  require(EVP_CipherFinal_ex(cipher.get(), piece.data() + kHeadBytes + written, &written));
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                              piece.data() + piece.size() - kTagBytes));
  return piece;
}

Bytes StoreCipher::open(ByteView sealed, std::string_view context) const {
  if (!key_) {
    if (sealed.empty() || sealed[0] != kPlain) {
      refuse();
    }
    return {sealed.begin() + 1, sealed.end()};
  }
  if (sealed.size() < kHeadBytes + kTagBytes || sealed.size() > kHeadBytes + kMaxPiece + kTagBytes ||
      sealed[0] != kSealed) {
    refuse();
  }
  Key key = piece_key(sealed.subspan(1, kSaltBytes));
  const Context cipher = start(false, key.data(), sealed.data() + 1 + kSaltBytes, context);
  OPENSSL_cleanse(key.data(), key.size());
  const std::size_t size = sealed.size() - kHeadBytes - kTagBytes;
  Bytes plain(size);
  int written = 0;
  require(EVP_CipherUpdate(cipher.get(), plain.data(), &written, sealed.data() + kHeadBytes,
                           static_cast<int>(size)));
  Bytes tag(sealed.end() - kTagBytes, sealed.end());
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()));
  std::uint8_t none = 0;
  if (EVP_CipherFinal_ex(cipher.get(), &none, &written) != 1) {
    OPENSSL_cleanse(plain.data(), plain.size());
    refuse();
  }
  return plain;
}

}  // namespace popcorn::service
