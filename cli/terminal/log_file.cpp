#include "cli/terminal/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace popcorn::cli {

namespace {

int open_log(const std::string& path) {
  constexpr mode_t kMode = 0640;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode);
  if (fd < 0) throw IoError("log.open", "the log file " + path + " cannot be opened for writing");
  return fd;
}

}  // namespace

LogFile::LogFile(const std::string& path) : path_(path), fd_(path == "-" ? STDERR_FILENO : open_log(path)) {}

LogFile::~LogFile() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

void LogFile::write(const std::string& line) {
  const std::string text = line + "\n";
  const std::scoped_lock lock(mutex_);
  const ssize_t written = ::write(fd_, text.data(), text.size());
  static_cast<void>(written);  // a full disk must not end the service
}

void LogFile::reopen() {
  if (path_ == "-") return;
  const int fresh = open_log(path_);
  const std::scoped_lock lock(mutex_);
  ::close(fd_);
  fd_ = fresh;
}

}  // namespace popcorn::cli
