#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "paillier/keys.h"

namespace popcorn::paillier {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& code, const std::string& path) {
  throw IoError(code, "cannot read the key " + path + ": " + std::strerror(errno));
}

void refuse_if_readable_by_others(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail("file.read", path);
  if ((status.st_mode & 077) != 0) {
    throw InputError("key.permissions",
                     "the private key " + path + " can be reached by other users; run: chmod 600 " + path);
  }
}

/// The file without a copy that is not wiped. @throws InputError "file.too_large"
SecretBytes read_secret_file(int fd, const std::string& path, std::size_t& size) {
  SecretBytes content(kMaxKeyFileBytes + 1);
  size = 0;
  for (;;) {
    const std::span<std::uint8_t> rest = content.writable().subspan(size);
    if (rest.empty()) {
      throw InputError("file.too_large", path + " is larger than the " + std::to_string(kMaxKeyFileBytes) +
                                             " bytes that a key may have");
    }
    const ssize_t got = ::read(fd, rest.data(), rest.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("file.read", path);
    if (got == 0) return content;
    size += static_cast<std::size_t>(got);
  }
}

std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void rethrow_with_path(const InputError& error, const std::string& path) {
  throw InputError(error.code(), path + ": " + error.what());
}

}  // namespace

PrivateKey read_private_key(const std::string& path, KeySizePolicy policy) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail("file.open", path);
  refuse_if_readable_by_others(file.get(), path);
  std::size_t size = 0;
  const SecretBytes content = read_secret_file(file.get(), path, size);
  try {
    return PrivateKey::from_json(as_text(content.view().first(size)), policy);
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
