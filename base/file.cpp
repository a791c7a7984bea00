#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

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

}  // namespace

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

}  // namespace popcorn
