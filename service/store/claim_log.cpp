#include "service/store/claim_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_identity.h"
#include "base/sha256.h"

namespace popcorn::service {

namespace {

// SHA-256 of what the file is; then, from the first claim on, how many were seen.
constexpr off_t kCountAt = 32;
constexpr std::size_t kCountBytes = 8;
constexpr mode_t kOwnerOnly = 0600;
constexpr std::size_t kMaxBootName = 4096;
constexpr const char* kBootFile = "/proc/sys/kernel/random/boot_id";

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw IoError("claim_log.file", file.string() + ": cannot be used as a claim log: " + std::strerror(errno));
}

Bytes read_all(int fd) {
  Bytes content(kCountAt + kCountBytes);
  const ssize_t got = ::pread(fd, content.data(), content.size(), 0);
  content.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return content;
}

}  // namespace

std::string boot_name() {
  return read_text_file(kBootFile, kMaxBootName);
}

ClaimLog::ClaimLog(const std::filesystem::path& file, const std::string& boot)
    : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly)) {
  if (fd_ < 0) fail(file);
  try {
    const FileIdentity identity = identity_of(file);
    const Sha256 mark = sha256(as_bytes("popcorn claim log " + std::to_string(identity.inode) + " " +
                                        std::to_string(identity.born) + " " + boot));
    const Bytes content = read_all(fd_);
    if (content.size() >= mark.size() && std::memcmp(content.data(), mark.data(), mark.size()) == 0) {
      ByteReader in(ByteView(content).subspan(mark.size()), "claim_log");
      if (in.remaining() == kCountBytes) seen_ = in.u64();
      return;
    }
    if (::ftruncate(fd_, 0) != 0 ||
        ::pwrite(fd_, mark.data(), mark.size(), 0) != static_cast<ssize_t>(mark.size()))
      fail(file);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

ClaimLog::~ClaimLog() {
  ::close(fd_);
}

void ClaimLog::note(std::uint64_t seen) {
  if (seen_ && *seen_ >= seen) return;
  Bytes count;
  ByteWriter(count).u64(seen);
  if (::pwrite(fd_, count.data(), count.size(), kCountAt) != static_cast<ssize_t>(count.size())) {
    throw IoError("claim_log.file", std::string("the claim log cannot be written: ") + std::strerror(errno));
  }
  seen_ = seen;
}

}  // namespace popcorn::service
