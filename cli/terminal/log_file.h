// The server's log: JSON lines in a file or on standard error.
#pragma once

#include <mutex>
#include <string>

namespace popcorn::cli {

/// Lines of several threads do not mix. A full disk loses lines and nothing else.
class LogFile {
 public:
  /// @param path "-" is standard error. @throws IoError "log.open"
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void write(const std::string& line);
  /// Opens the path again, for programs that rotate logs; the old file stays in use when that fails.
  /// @throws IoError "log.open"
  void reopen();

 private:
  const std::string path_;
  std::mutex mutex_;
  int fd_ = -1;
};

}  // namespace popcorn::cli
