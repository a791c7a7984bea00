#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file_identity.h"

namespace popcorn {

namespace {

/// Closes a descriptor on scope exit and removes the temporary file unless it was kept.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target, unsigned mode)
      : path_(target.string() + ".XXXXXX") {
    fd_ = ::mkostemp(path_.data(), O_CLOEXEC);
    if (fd_ < 0) fail("cannot create a file beside " + target.string());
    if (::fchmod(fd_, static_cast<mode_t>(mode)) != 0) fail("cannot set the permissions of " + path_);
  }
  ~TemporaryFile() { discard(); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(ByteView content) {
    while (!content.empty()) {
      const ssize_t written = ::write(fd_, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot write " + path_);
      content = content.subspan(static_cast<std::size_t>(written));
    }
    if (::fsync(fd_) != 0) fail("cannot flush " + path_);
  }

  FileIdentity identity() const { return identity_of(path_); }

  void rename_to(const std::filesystem::path& target) {
    ::close(fd_);
    fd_ = -1;
    if (::rename(path_.c_str(), target.c_str()) != 0) fail("cannot put " + target.string() + " in place");
    path_.clear();
  }

 private:
  void discard() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  [[noreturn]] void fail(const std::string& message) {
    const int reason = errno;
    discard();
    throw IoError("file.write", message + ": " + std::strerror(reason));
  }

  std::string path_;
  int fd_ = -1;
};

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

constexpr std::size_t kFirstSecretBytes = 4096;

[[noreturn]] void fail_to_read(const std::string& code, const std::filesystem::path& path,
                               const SecretFileRules& rules) {
  const std::string reason = std::strerror(errno);
  throw IoError(code, "cannot read " + rules.what + " " + path.string() + ": " + reason);
}

/// @returns a guess at the file's size
std::size_t judge(int fd, const std::filesystem::path& path, const SecretFileRules& rules) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_to_read("file.read", path, rules);
  if (rules.written_here && !S_ISREG(status.st_mode)) {
    throw InputError("file.link", rules.what + " " + path.string() + " must be a regular file");
  }
  if ((status.st_mode & (rules.group_may_reach ? 007U : 077U)) != 0) {
    const std::string remedy = rules.group_may_reach ? "chmod o= " : "chmod 600 ";
    throw InputError(rules.code, rules.what + " " + path.string() +
                                     " can be reached by other users; run: " + remedy + path.string());
  }
  return S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
}

SecretBytes larger(const SecretBytes& content, std::size_t size) {
  SecretBytes grown(size);
  std::ranges::copy(content.view(), grown.writable().begin());
  return grown;
}

SecretBytes read_all(int fd, std::size_t guess, const std::filesystem::path& path,
                     const SecretFileRules& rules) {
  const std::size_t most = rules.max_bytes + 1;
  // One more than there should be, so that the end is seen without growing.
  SecretBytes content(std::min(most, guess == 0 ? kFirstSecretBytes : guess + 1));
  for (std::size_t size = 0;;) {
    if (size == most) {
      throw InputError("file.too_large", path.string() + " is larger than the " +
                                             std::to_string(rules.max_bytes) + " bytes that " + rules.what +
                                             " may have");
    }
    if (size == content.size()) content = larger(content, std::min(most, 2 * size));
    const std::span<std::uint8_t> rest = content.writable().subspan(size);
    const ssize_t got = ::read(fd, rest.data(), rest.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read("file.read", path, rules);
    if (got == 0) {
      content.shrink(size);
      return content;
    }
    size += static_cast<std::size_t>(got);
  }
}

}  // namespace

std::optional<SecretBytes> read_secret_file_if_any(const std::filesystem::path& path,
                                                   const SecretFileRules& rules) {
  // O_NONBLOCK: a pipe put where a file belongs must not hold the program up before it is refused.
  const int flags = O_RDONLY | O_CLOEXEC | (rules.written_here ? O_NOFOLLOW | O_NONBLOCK : 0);
  const Descriptor file(::open(path.c_str(), flags));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  if (file.get() < 0 && errno == ELOOP && rules.written_here) {
    throw InputError("file.link", rules.what + " " + path.string() + " must be a regular file, not a link");
  }
  if (file.get() < 0) fail_to_read("file.open", path, rules);
  const std::size_t guess = judge(file.get(), path, rules);
  return read_all(file.get(), guess, path, rules);
}

SecretBytes read_secret_file(const std::filesystem::path& path, const SecretFileRules& rules) {
  std::optional<SecretBytes> content = read_secret_file_if_any(path, rules);
  if (!content) {
    errno = ENOENT;
    fail_to_read("file.open", path, rules);
  }
  return std::move(*content);
}

Bytes read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw IoError("file.open", "cannot open " + path.string() + ": " + std::strerror(errno));
  Bytes content;
  Bytes block(std::size_t{1} << 16);
  for (;;) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int reason = errno;
      ::close(fd);
      throw IoError("file.read", "cannot read " + path.string() + ": " + std::strerror(reason));
    }
    if (got == 0) break;
    content.insert(content.end(), block.begin(), block.begin() + got);
    if (content.size() > max_bytes) {
      ::close(fd);
      throw InputError("file.too_large",
                       path.string() + " is larger than the " + std::to_string(max_bytes) + " bytes allowed");
    }
  }
  ::close(fd);
  return content;
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const Bytes content = read_file(path, max_bytes);
  return {content.begin(), content.end()};
}

void write_file(const std::filesystem::path& path, ByteView content, unsigned mode) {
  TemporaryFile file(path, mode);
  file.write(content);
  file.rename_to(path);
}

namespace {

void flush_folder(const std::filesystem::path& folder, const char* code) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool flushed = fd >= 0 && ::fsync(fd) == 0;
  const int problem = errno;
  if (fd >= 0) ::close(fd);
  if (!flushed)
    throw IoError(code, folder.string() + ": cannot be flushed to the disk: " + std::strerror(problem));
}

}  // namespace

FileIdentity identity_of(const std::filesystem::path& path) {
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  struct statx found {};
  const bool is_there =
      ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &found) == 0;
  if (!is_there || (found.stx_mask & STATX_BTIME) == 0) {
    const std::string reason =
        is_there ? "its file system does not know when files were made" : std::strerror(errno);
    throw IoError("file.identity", path.string() + ": cannot be told from its copies: " + reason);
  }
  return {found.stx_ino, kNanoseconds * found.stx_btime.tv_sec + found.stx_btime.tv_nsec};
}

void write_identified_file(const std::filesystem::path& path,
                           const std::function<Bytes(const FileIdentity&)>& content, unsigned mode) {
  TemporaryFile file(path, mode);
  file.write(content(file.identity()));
  file.rename_to(path);
  flush_folder(path.parent_path(), "file.write");
}

bool rename_new_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == ENOENT || errno == EEXIST) return false;
    throw IoError("file.rename", from.string() + ": cannot be renamed to " + to.filename().string() + ": " +
                                     std::strerror(errno));
  }
  flush_folder(to.parent_path(), "file.rename");
  return true;
}

void remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return;
    throw IoError("file.remove", path.string() + ": cannot be removed: " + std::strerror(errno));
  }
  flush_folder(path.parent_path(), "file.remove");
}

}  // namespace popcorn
